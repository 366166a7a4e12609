//! Policy documents: the mistakes that IAM would refuse later with `MalformedPolicyDocument`.

use super::super::{
    super::{
        error::{Diagnostic, choices, nearest},
        model::{Document, Spanned, Text},
        tree::{Data, Node},
    },
    Decoder,
};

/// What a statement may have (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
const STATEMENT: [&str; 9] =
    ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"];
const DOCUMENT: [&str; 3] = ["Version", "Id", "Statement"];

impl Decoder<'_> {
    /// An identity policy: statements with actions and resources.
    pub(super) fn policy(&self, node: &Node, what: &str, most: usize) -> Option<Spanned<Document>> {
        self.document(node, what, most, false)
    }

    /// A trust policy: statements with principals.
    pub(super) fn trust_policy(&self, node: &Node, what: &str) -> Option<Spanned<Document>> {
        self.document(node, what, 2_048, true)
    }

    fn document(&self, node: &Node, what: &str, most: usize, trust: bool) -> Option<Spanned<Document>> {
        let Data::Map(entries) = &node.data else {
            let error =
                Diagnostic::at(&node.span, format!("{what} must be a map with `Statement`, not {}", node.kind()));
            self.report(
                error.hint("write the policy as YAML, e.g. `Statement: [{ Effect: Allow, Action: …, Resource: … }]`"),
            );
            return None;
        };
        self.known_fields(node, &DOCUMENT, what);
        match node.get("Statement") {
            None => {
                let span = entries.first().map_or(&node.span, |(key, _)| &key.span);
                self.report(
                    Diagnostic::at(span, format!("{what} has no `Statement`"))
                        .hint("a policy is a map with `Statement`"),
                );
            }
            Some((key, Node { data: Data::List(items), .. })) if items.is_empty() => {
                self.report(
                    Diagnostic::at(&key.span, format!("{what} has no statement"))
                        .hint("it would grant nothing; remove it"),
                );
            }
            Some((_, Node { data: Data::List(items), .. })) => {
                for item in items {
                    self.statement(item, what, trust);
                }
            }
            Some((_, statement)) => self.statement(statement, what, trust),
        }
        if let Some((_, Node { span, data: Data::Scalar { text, .. } })) = node.get("Version")
            && !matches!(&**text, "2012-10-17" | "2008-10-17")
        {
            let error = Diagnostic::at(span, format!("a policy's `Version` cannot be `{text}`"));
            self.report(error.hint("it is the language's version, not yours: \"2012-10-17\""));
        }
        let Document::Map(mut entries) = self.json(node, what)? else { return None };
        if !entries.iter().any(|(key, _)| key.as_fixed() == Some("Version")) {
            entries.insert(0, (Text::fixed("Version"), Document::Text(Text::fixed("2012-10-17"))));
        }
        let document = Document::Map(entries);
        let sample = document.resolve(super::super::super::model::ACCOUNT_PLACEHOLDER).to_string();
        let size = sample.chars().filter(|c| !c.is_whitespace()).count();
        if size > most {
            let error = Diagnostic::at(&node.span, format!("{what} has {size} characters"));
            self.report(error.hint(format!("IAM takes {most} at most here, white space apart")));
        }
        Some(Spanned::new(document, node.span.clone()))
    }

    fn known_fields(&self, node: &Node, names: &[&'static str], what: &str) {
        let Data::Map(entries) = &node.data else { return };
        for (key, _) in entries.iter().filter(|(key, _)| !names.contains(&key.text.as_str())) {
            let hint = match nearest(&key.text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it can be {}", choices(names.iter().copied())),
            };
            self.report(Diagnostic::at(&key.span, format!("unknown field `{}` in {what}", key.text)).hint(hint));
        }
    }

    fn statement(&self, node: &Node, what: &str, trust: bool) {
        let Data::Map(entries) = &node.data else {
            let error = Diagnostic::at(&node.span, format!("a statement of {what} must be a map, not {}", node.kind()));
            self.report(error.hint("e.g. `{ Effect: Allow, Action: s3:GetObject, Resource: … }`"));
            return;
        };
        self.known_fields(node, &STATEMENT, &format!("a statement of {what}"));
        let place = entries.first().map_or(&node.span, |(key, _)| &key.span);
        let needs = |names: [&str; 2]| {
            if names.iter().all(|name| node.get(name).is_none()) {
                let message = format!("a statement of {what} has no `{}`", names[0]);
                self.report(Diagnostic::at(place, message).hint(format!("it needs {}", choices(names))));
            }
        };
        match node.get("Effect") {
            Some((_, Node { data: Data::Scalar { text, .. }, .. })) if matches!(&**text, "Allow" | "Deny") => {}
            Some((_, effect)) => {
                let error = Diagnostic::at(&effect.span, format!("`Effect` in {what} must be `Allow` or `Deny`"));
                self.report(error.hint("as IAM spells them"));
            }
            None => self.report(
                Diagnostic::at(place, format!("a statement of {what} has no `Effect`"))
                    .hint("`Effect: Allow` or `Effect: Deny`"),
            ),
        }
        needs(["Action", "NotAction"]);
        if trust {
            needs(["Principal", "NotPrincipal"]);
        } else {
            needs(["Resource", "NotResource"]);
            if let Some((key, _)) = node.get("Principal").or_else(|| node.get("NotPrincipal")) {
                let error = Diagnostic::at(
                    &key.span,
                    format!("{what} belongs to a role or user, so `{}` has no place in it", key.text),
                );
                self.report(error.hint("who may assume a role stands in its `trust`"));
            }
        }
        for name in ["Action", "NotAction"] {
            let Some((_, actions)) = node.get(name) else { continue };
            let actions = match &actions.data {
                Data::List(items) => items.as_slice(),
                _ => std::slice::from_ref(actions),
            };
            for action in actions {
                if let Data::Scalar { text, .. } = &action.data
                    && text != "*"
                    && !text.contains("${")
                    && text.split(':').count() != 2
                {
                    let error = Diagnostic::at(&action.span, format!("`{text}` is not an action"));
                    self.report(error.hint("an action is SERVICE:OPERATION, e.g. s3:GetObject"));
                }
            }
        }
    }
}
