//! From what a user calls a job to where it lies in S3.

use std::{collections::BTreeSet, path::Path};

use super::super::{load, session::Session};
use crate::{
    cluster::code::CodeFolder,
    error::{Failure, Result},
    spec::{self, nearest},
};

/// A program of the user's: where it is now, and what it was.
pub struct Program {
    /// `s3://…`.
    pub uri: String,
    /// Whether it was uploaded from this machine.
    pub uploaded: bool,
}

/// Finds the program that somebody named, and uploads it where it is a file of this machine.
///
/// `s3://…` is taken as it is; what is a file here is that file, if the Python of the cluster can read it with these
/// options of spark-submit; anything else is a name in the code folder.
pub async fn locate(session: &Session, named: &str, pipeline: Option<&str>, options: &[&str]) -> Result<Program> {
    if let Some(rest) = named.strip_prefix("s3://") {
        let whole = rest.split_once('/').is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        return if whole {
            Ok(Program { uri: named.to_owned(), uploaded: false })
        } else {
            Err(Failure::new(format!("{named} names no object")).hint("s3://BUCKET/PATH"))
        };
    }
    let file = Path::new(named);
    if file.is_dir() {
        return Err(Failure::new(format!("{named} is a folder, not a program")));
    }
    let folder = code_folder(session, pipeline)?;
    let cloud = &session.cloud;
    if file.is_file() {
        if spec::is_python(file) {
            let cluster = session.spec.cluster.as_ref();
            spec::ensure_readable(file, cluster, options).map_err(|errors| load::mistaken(&errors))?;
        }
        return Ok(Program { uri: folder.put(cloud, file).await?, uploaded: true });
    }
    if !folder.has(cloud, named).await? {
        let names = folder.names(cloud).await?;
        let failure =
            Failure::new(format!("there is no job `{named}`: no file of this machine, and none in {}", folder.uri("")));
        return Err(match nearest(named, names.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None if names.is_empty() => {
                failure.hint("no program lies directly there; name a local file, or s3://BUCKET/PATH")
            }
            None => failure.hint(format!("what is there: {}", shortened(&names))),
        });
    }
    Ok(Program { uri: folder.uri(named), uploaded: false })
}

fn shortened(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let dots = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{dots}", shown.join(", "))
}

/// The folder with the stack's programs: the `code` folder of its pipeline, or else the only folder called `cod/` or
/// `code/`.
fn code_folder(session: &Session, pipeline: Option<&str>) -> Result<CodeFolder> {
    let (spec, account) = (&session.spec, &session.cloud.names.account);
    let bucket = |name: &str| spec.buckets[name].name.resolve(account);
    if let Some(name) = pipeline.filter(|name| !spec.pipelines.contains_key(*name)) {
        let failure = Failure::new(format!("the spec has no pipeline `{name}`"));
        return Err(match nearest(name, spec.pipelines.keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        });
    }
    let chosen = spec.pipelines.iter().filter(|(name, _)| pipeline.is_none_or(|wanted| wanted == *name));
    let mut found: BTreeSet<CodeFolder> = chosen
        .filter_map(|(_, pipeline)| {
            let folder = pipeline.folders.get("code")?.value.clone();
            Some(CodeFolder { bucket: bucket(&pipeline.bucket), folder })
        })
        .collect();
    if found.is_empty() && pipeline.is_none() {
        let is_code = |folder: &&crate::spec::Spanned<String>| ["cod/", "code/"].contains(&folder.as_str());
        for (name, of) in &spec.buckets {
            let folders = of.folders.iter().filter(is_code);
            found.extend(folders.map(|folder| CodeFolder { bucket: bucket(name), folder: folder.value.clone() }));
        }
    }
    let several = found.len() > 1;
    match found.pop_first() {
        Some(only) if !several => Ok(only),
        Some(_) => Err(Failure::new("the spec has several folders for code").hint("choose one with `--pipeline NAME`")),
        None => Err(Failure::new(format!("{}: the spec names no folder for code", spec.stack.span.place())).hint(
            "give a bucket one, `folders: [cod/]`, or a pipeline: `folders: { code: cod/ }`; or name the job by s3://BUCKET/PATH",
        )),
    }
}
