//! What is set up on a cluster's machines: settings, scripts.

use indexmap::IndexMap;

use super::super::{
    super::{
        error::Diagnostic,
        interpolate::Place,
        model::{Bootstrap, Configuration, FilePath, Script, Spanned, Text},
        shape::{Object, Shape, optional, required},
        tree::{Data, Node},
    },
    Decoder, Fields,
};

/// EMR's limit on a bootstrap action's name.
const NAME: usize = 256;

pub(super) static BOOTSTRAP: Object = Object {
    name: "bootstrap",
    doc: "A script that runs on each node before the applications start.",
    fields: &[
        required("script", "`s3://…`, or a path beside this file.", Shape::Text).also(&["path"]),
        optional("arguments", "Its arguments.", Shape::List(&Shape::Loose)).also(&["args"]),
        optional("name", "Its name in EMR; the script's unless said.", Shape::Text),
    ],
};

/// Reads `configurations`.
pub(super) fn configurations(fields: &Fields<'_, '_>) -> Vec<Spanned<Configuration>> {
    let decoder = fields.decoder;
    let table = fields.table("configurations").iter();
    table
        .filter_map(|(key, node)| Some(Spanned::new(configuration(decoder, &key.text, node)?, key.span.clone())))
        .collect()
}

fn configuration(decoder: &Decoder<'_>, classification: &str, node: &Node) -> Option<Configuration> {
    let what = format!("configuration `{classification}`");
    if !matches!(node.data, Data::Map(_)) && !node.is_null() {
        let error = Diagnostic::at(&node.span, format!("{what} must be a map, not {}", node.kind()));
        decoder.report(error.hint("e.g. `spark-defaults: { spark.executor.memory: 4g }`"));
        return None;
    }
    let mut properties = IndexMap::new();
    let mut configurations = Vec::new();
    for (key, node) in decoder.entries(node, &what) {
        if let Data::Map(_) = node.data {
            configurations.extend(configuration(decoder, &key.text, node));
        } else if let Some(value) = decoder.loose(node, &format!("`{}` of {what}", key.text), Place::Anywhere) {
            properties.insert(key.text.clone(), value.into_text());
        }
    }
    Some(Configuration { classification: classification.to_owned(), properties, configurations })
}

/// Reads one of `bootstrap`.
pub(super) fn bootstrap(decoder: &Decoder<'_>, node: &Node) -> Option<Spanned<Bootstrap>> {
    let what = "a bootstrap script";
    let (script, arguments, name) = if let Data::Map(_) = node.data {
        let fields = Fields::open(decoder, &BOOTSTRAP, what, &node.span, node)?;
        let script = fields.text("script");
        let arguments = texts(&fields, "arguments");
        (script?, arguments, fields.fixed("name"))
    } else {
        (decoder.text(node, what)?, Vec::new(), None)
    };
    let shown = script.value.shown();
    let name = name
        .unwrap_or_else(|| Spanned::new(shown.rsplit('/').next().unwrap_or_default().to_owned(), script.span.clone()));
    if name.is_empty() || name.chars().count() > NAME {
        let error =
            Diagnostic::at(&name.span, format!("a bootstrap script's name has {} characters", name.chars().count()));
        decoder.report(error.hint(format!("EMR takes 1 to {NAME}")));
    }
    let place = script.span.clone();
    let script = match script.value.as_fixed() {
        Some(path) if !path.contains("://") => {
            Script::File(FilePath { written: path.to_owned(), path: decoder.find_path(path, &place.file) })
        }
        _ if script.value.sample().starts_with("s3://") => Script::S3(script.value),
        _ => {
            let error = Diagnostic::at(&place, format!("{what} cannot be at `{shown}`"));
            decoder.report(error.hint("write `s3://BUCKET/PATH`, or a path beside this file"));
            return None;
        }
    };
    Some(Spanned::new(Bootstrap { name: name.value, script, arguments }, place))
}

/// A list of texts.
pub(in crate::spec::decode) fn texts(fields: &Fields<'_, '_>, name: &'static str) -> Vec<Text> {
    let what = fields.what(name);
    let list = fields.list(name).iter();
    list.filter_map(|node| Some(fields.decoder.loose(node, &what, Place::Anywhere)?.into_text())).collect()
}
