//! Handing a job to a cluster, as a step that runs `spark-submit`.
//!
//! `AddJobFlowSteps` takes no client token, so that a repeated request is a second step. It is sent once, under a name
//! that no other step has; where no answer comes back, the step of that name says whether it arrived.

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_emr::types::{ActionOnFailure, HadoopJarStepConfig, StepConfig};
use tokio::time::Instant;

use super::steps::{self, RUNNER, Step};
use crate::cloud::{Answered, Cloud, CloudError, Explain, emr_once};

/// EMR's limits. Source: "Add steps to a cluster" and `StepConfig` in the Amazon EMR documentation.
const LONGEST_ARGUMENTS: usize = 10_240;
const LONGEST_NAME: usize = 256;

/// What `spark-submit` is asked to run.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The program: `s3://…`.
    pub program: String,
    /// What it is told.
    pub arguments: Vec<String>,
    /// Where its driver runs: `cluster` or `client`.
    pub deploy_mode: String,
    /// The application's name in Spark, where one was given.
    pub name: Option<String>,
    /// The class to begin with, for a jar.
    pub class: Option<String>,
    /// Settings, `KEY=VALUE`.
    pub conf: Vec<String>,
    /// Other arguments of spark-submit, as they are.
    pub options: Vec<String>,
    /// Modules that go with it: `s3://…`.
    pub py_files: Vec<String>,
}

impl Job {
    /// What the step's runner is told.
    pub fn command(&self) -> Vec<String> {
        let Self { program, arguments, deploy_mode, name, class, conf, options, py_files } = self;
        let mut words = vec!["spark-submit".to_owned(), "--deploy-mode".into(), deploy_mode.clone()];
        let mut option = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        if let Some(name) = name {
            option("--name", name.clone());
        }
        if let Some(class) = class {
            option("--class", class.clone());
        }
        for setting in conf {
            option("--conf", setting.clone());
        }
        if !py_files.is_empty() {
            option("--py-files", py_files.join(","));
        }
        words.extend(options.iter().cloned());
        words.push(program.clone());
        words.extend(arguments.iter().cloned());
        words
    }

    /// What the step is called: as it was named, or as its program is.
    fn title(&self) -> &str {
        let file = self.program.rsplit('/').next().unwrap_or(&self.program);
        self.name.as_deref().unwrap_or(file)
    }
}

/// The step among these that runs this very job already, or waits to.
pub fn already<'a>(steps: &'a [Step], job: &Job) -> Option<&'a Step> {
    let command = job.command();
    steps.iter().find(|step| step.is_active() && step.jar == RUNNER && step.arguments == command)
}

/// Adds a step that runs the job; returns it. The cluster goes on when it fails.
pub async fn send(cloud: &Cloud, cluster: &str, job: &Job) -> Result<Step> {
    let command = job.command();
    let length: usize = command.iter().map(|word| word.chars().count()).sum();
    ensure!(
        length <= LONGEST_ARGUMENTS,
        "a step's arguments may have {LONGEST_ARGUMENTS} characters, these have {length}"
    );
    let name = unique(job.title())?;
    ensure!(name.chars().count() <= LONGEST_NAME, "a step's name may have {} characters", LONGEST_NAME - 11);
    let runner = HadoopJarStepConfig::builder().jar(RUNNER).set_args(Some(command)).build();
    let step = StepConfig::builder().name(&name).action_on_failure(ActionOnFailure::Continue).hadoop_jar_step(runner);
    let id = add(cloud, cluster, &name, step.build()).await?;
    Ok(steps::describe(cloud, cluster, &id).await?)
}

async fn add(cloud: &Cloud, cluster: &str, name: &str, step: StepConfig) -> Result<String> {
    const OPERATION: &str = "elasticmapreduce:AddJobFlowSteps";
    let request = cloud.clients.emr.add_job_flow_steps().job_flow_id(cluster).steps(step);
    let send = || async { request.clone().customize().config_override(emr_once()).send().await.explain(OPERATION) };
    // A throttled request made nothing; the SDK is kept from repeating it here.
    match cloud.settle_while(|error| error.is(&["Throttling*"]), send).await {
        Ok(answer) => Ok(answer.step_ids().first().cloned().answered(OPERATION)?),
        Err(error) if may_have_arrived(&error) => match arrived(cloud, cluster, name).await {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(anyhow::Error::from(error).context(format!(
                "cluster {cluster} has no step `{name}`: it was not handed over, and not sent twice"
            ))),
            Err(unknown) => bail!(
                "it is not known whether cluster {cluster} has the step `{name}`; `infra cluster steps` will tell: \
                 {error}; then {unknown:#}"
            ),
        },
        Err(error) => Err(error.into()),
    }
}

/// Whether the request may have taken effect although no good answer came back.
fn may_have_arrived(error: &CloudError) -> bool {
    error.code.is_none() || error.is(&["Internal*", "ServiceUnavailable*", "Unknown", "RequestTimeout*"])
}

/// The id of the step of this name, for which EMR is asked as long as its reads may lag.
async fn arrived(cloud: &Cloud, cluster: &str, name: &str) -> Result<Option<String>> {
    let begin = Instant::now();
    loop {
        let found = steps::list(cloud, cluster).await?;
        if let Some(step) = found.into_iter().find(|step| step.name == name) {
            return Ok(Some(step.id));
        }
        if begin.elapsed() >= cloud.pace.consistency {
            return Ok(None);
        }
        tokio::time::sleep(cloud.pace.poll).await;
    }
}

/// A name that no other step has: `count.py [3f9a21c4]`.
fn unique(title: &str) -> Result<String> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(format!("{title} [{:08x}]", u32::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::{Job, unique};

    #[test]
    fn a_job_is_one_command() {
        let job = Job {
            program: "s3://lake/cod/count.py".into(),
            arguments: vec!["s3://lake/raw/".into(), "--top=3".into()],
            deploy_mode: "cluster".into(),
            name: Some("nightly".into()),
            class: None,
            conf: vec!["spark.executor.memory=2g".into()],
            options: Vec::new(),
            py_files: vec!["s3://lake/cod/a.py".into(), "s3://lake/cod/b.zip".into()],
        };
        let words = "spark-submit --deploy-mode cluster --name nightly --conf spark.executor.memory=2g \
                     --py-files s3://lake/cod/a.py,s3://lake/cod/b.zip s3://lake/cod/count.py s3://lake/raw/ --top=3";
        assert_eq!(job.command(), words.split_whitespace().collect::<Vec<_>>());
        assert_eq!(job.title(), "nightly");
        assert_eq!(Job { name: None, ..job }.title(), "count.py");
    }

    #[test]
    fn no_two_names_are_alike() {
        let (one, other) = (unique("count.py").unwrap(), unique("count.py").unwrap());
        assert!(one.starts_with("count.py [") && one.ends_with(']') && one.len() == 19, "{one}");
        assert_ne!(one, other);
    }
}
