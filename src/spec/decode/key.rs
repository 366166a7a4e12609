//! `keys`.

use super::{
    super::{
        error::{Diagnostic, choices},
        model::{FilePath, Key as SshKey, KeySource, Spanned, Text},
        shape::{Kind, Object, Shape, optional},
        tree::{Key, Node},
    },
    Decoder, Fields,
};

/// An SSH key.
pub(super) static KEY: Object = Object {
    name: "key",
    doc: "An SSH key: yours (`public_key`), or made for the stack (`generate: true`).",
    fields: &[
        optional("public_key", "Your public key: a path, or the key's line itself.", Shape::Text)
            .also(&["path", "file"]),
        optional(
            "generate",
            "Whether to make an ed25519 key, its private half in a file that only you can read.",
            Shape::Boolean,
        ),
        optional("name", "The key pair's name in EC2; STACK-KEY unless said.", Shape::Text),
    ],
};

/// EC2's limit on a key pair's name.
const KEY_NAME: usize = 255;

/// Reads a key.
pub(super) fn read(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<SshKey> {
    let fields = Fields::open(decoder, &KEY, format!("key `{}`", key.text), &key.span, node)?;
    let name = fields.text("name").unwrap_or_else(|| {
        let stack = decoder.scope.stack.borrow().clone().map(|stack| stack.pieces.concat()).unwrap_or_default();
        Spanned::new(Text::fixed(format!("{stack}-{}", key.text)), key.span.clone())
    });
    let sample = name.sample();
    if sample.is_empty() || sample.chars().count() > KEY_NAME || !sample.is_ascii() {
        let message = format!("EC2 refuses the key pair's name, of {} characters", sample.chars().count());
        decoder
            .report(Diagnostic::at(&name.span, message).hint(format!("1 to {KEY_NAME} ASCII characters are allowed")));
    }
    let generate = fields.boolean("generate");
    let public = fields.fixed("public_key");
    let wanted = generate.as_ref().is_some_and(|generate| generate.value);
    if wanted {
        fields.exclusive(
            "public_key",
            "generate",
            "keep `public_key` for your own key, or `generate: true` for a new one",
        );
    }
    let source = match (public, generate) {
        (Some(public), _) => public_key(decoder, public)?,
        (None, Some(generate)) if wanted => generate.map(|_| KeySource::Generate),
        _ if fields.has("public_key") || fields.has("generate") && !wanted && fields.boolean("generate").is_none() => {
            return None;
        }
        _ => {
            let error =
                Diagnostic::at(&key.span, format!("{} has neither `public_key` nor `generate: true`", fields.label));
            decoder.report(
                error.hint("`{ public_key: ~/.ssh/id_ed25519.pub }`, or `{ generate: true }` to have one made"),
            );
            return None;
        }
    };
    Some(SshKey { name, source })
}

fn public_key(decoder: &Decoder<'_>, text: Spanned<String>) -> Option<Spanned<KeySource>> {
    if text.contains("PRIVATE KEY") {
        let error = Diagnostic::at(&text.span, "this is a private key; a public one belongs here");
        decoder.report(error.hint("take it out of the file at once, and put the `.pub` file's path here"));
        return None;
    }
    let mut words = text.split_whitespace();
    let algorithm = words.next().unwrap_or_default();
    if !(algorithm.starts_with("ssh-") || algorithm.starts_with("ecdsa-") || algorithm.starts_with("sk-"))
        || words.next().is_none()
    {
        let path = decoder.find_path(&text, &text.span.file);
        return Some(text.map(|written| KeySource::File(FilePath { written, path })));
    }
    if !matches!(algorithm, "ssh-ed25519" | "ssh-rsa") {
        let error = Diagnostic::at(&text.span, format!("EC2 takes no `{algorithm}` keys"));
        decoder.report(error.hint("it takes ed25519 and RSA: `ssh-keygen -t ed25519`"));
        return None;
    }
    Some(text.map(|text| KeySource::Inline(text.trim().to_owned())))
}

/// The key that a host has without saying: the spec's only one.
pub(super) fn only(fields: &Fields<'_, '_>, needed: bool) -> Option<Spanned<String>> {
    let names = fields.decoder.declared(Kind::Key)?;
    if let [only] = &*names {
        return Some(fields.default((*only).to_owned()));
    }
    if needed {
        let error = Diagnostic::at(&fields.span, format!("{} has no SSH key", fields.label));
        let hint = if names.is_empty() {
            "declare one: `keys: { admin: { generate: true } }`".into()
        } else {
            format!("say which, `key:` {}", choices(names.iter().copied()))
        };
        fields.decoder.report(error.hint(hint));
    }
    None
}
