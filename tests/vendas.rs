//! Vendas as the course has it: Airflow on its host makes a cluster, gives it the job, waits, and ends it. Everything is
//! real but AWS: the host, Airflow, the operators, the Spark job.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    aws::{Aws, python},
    cli::{Project, Run, root, unique},
    hosts::until,
    lab::Lab,
};

const SALES: u64 = 2000;
const FLAGS: [&str; 2] = ["-f", "infra/vendas.yaml"];

/// The totals of the sales, from the very files, by nothing but Python's own decimals. The commission is a tenth for the
/// first 25 products, and 13 % for the others, to the cent.
const TOTALS: &str = "
import csv, decimal, glob, json, sys
price = {row['ID_PRODUTO']: decimal.Decimal(row['PRECO']) for row in csv.DictReader(open(sys.argv[1] + '/produtos/produtos.csv'))}
rows = quantity = 0
value = commission = decimal.Decimal(0)
for name in glob.glob(sys.argv[1] + '/vendas/*.csv'):
    for row in csv.DictReader(open(name)):
        sold = int(row['QUANTIDADE']) * price[row['ID_PRODUTO']]
        share = sold * decimal.Decimal('0.10' if int(row['ID_PRODUTO']) <= 25 else '0.13')
        rows, quantity, value = rows + 1, quantity + int(row['QUANTIDADE']), value + sold
        commission += share.quantize(decimal.Decimal('0.01'), decimal.ROUND_HALF_UP)
print(json.dumps([rows, quantity, str(value), str(commission)]))
";

struct Vendas {
    project: Project,
    aws: Aws,
    bucket: String,
}

impl Drop for Vendas {
    fn drop(&mut self) {
        self.local(&["destroy", "--yes", "--no-hosts", "--empty-buckets"]);
    }
}

impl Vendas {
    /// The platform with its pipeline and the course's data, of which there are few.
    fn up(lab: &Lab) -> Self {
        let project = Project::new(&lab.endpoint, Some(&unique()));
        let mut it = Self { project, aws: Aws::new(&lab.endpoint, "sa-east-1"), bucket: String::new() };
        it.local(&["apply", "--yes"]).expect(0);
        it.bucket = it.project.output(&FLAGS, "bucket/data.name");
        let generate = root().join("templates/vendas/generate.py");
        let mut command = Command::new(python());
        let made = made_in(command.arg(generate).args(["--sales", &SALES.to_string(), "--bronze"]), &it.bronze());
        assert_eq!(made["sales"], SALES);
        it.copy_bronze();
        it
    }

    fn bronze(&self) -> std::path::PathBuf {
        self.project.path("bronze")
    }

    fn copy_bronze(&self) {
        let (from, bucket) = (self.bronze(), &self.bucket);
        self.aws.run(&format!("s3 cp --recursive --quiet {} s3://{bucket}/bronze/", from.display()));
    }

    fn local(&self, arguments: &[&str]) -> Run {
        self.project.local(&[&FLAGS, arguments].concat())
    }

    fn run(&self, date: &str) -> Run {
        self.local(&["pipeline", "run", "vendas", "--date", date, "--yes"])
    }

    /// Every cluster there ever was of this stack, the newest first: its id, state, and steps' states.
    fn clusters(&self) -> Vec<Value> {
        let listed = self.aws.run("emr list-clusters --query Clusters[].Id");
        let ids = listed.as_array().expect("ids").iter().map(|id| id.as_str().expect("an id").to_owned());
        let described = ids.map(|id| {
            let cluster = self.aws.run(&format!("emr describe-cluster --cluster-id {id}"))["Cluster"].clone();
            let steps = self.aws.run(&format!("emr list-steps --cluster-id {id} --query Steps[].Status.State"));
            json!({ "id": id, "state": cluster["Status"]["State"], "steps": steps, "name": cluster["Name"],
                    "release": cluster["ReleaseLabel"], "tags": cluster["Tags"],
                    "instances": cluster["Ec2InstanceAttributes"] })
        });
        let stack = self.project.read("infra/vendas.yaml");
        let stack = stack.lines().find_map(|line| line.strip_prefix("stack: ")).expect("a stack").to_owned();
        let of = json!({ "Key": "infra:stack", "Value": stack });
        described.filter(|cluster| cluster["tags"].as_array().is_some_and(|tags| tags.contains(&of))).collect()
    }

    /// What the job says of the whole.
    fn summary(&self) -> Value {
        let folder = self.project.path("resumo");
        let _ = fs::remove_dir_all(&folder);
        let to = folder.display();
        self.aws.run(&format!("s3 cp --recursive --quiet s3://{}/gold/vendas_resumo/ {to}", self.bucket));
        let files = fs::read_dir(&folder).expect("a summary").flatten().map(|file| file.path());
        let texts = files.filter_map(|file| fs::read_to_string(file).ok());
        let text = texts.into_iter().find(|text| text.starts_with('{')).expect("a line of JSON");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Runs a command of Python's with a path as its last argument; the JSON of its last line.
fn made_in(command: &mut Command, path: &Path) -> Value {
    let output = command.arg(path).output().expect("python starts");
    let run = Run::from(output).expect(0);
    serde_json::from_str(run.out.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn airflow_makes_a_cluster_feeds_it_and_ends_it_also_after_a_failure() {
    let Some((lab, own)) = Lab::with_spark() else { return };
    let it = Vendas::up(lab);
    a_good_day_and_a_bad_one(&it);
    drop(it);
    if own {
        lab.down();
    }
}

fn a_good_day_and_a_bad_one(it: &Vendas) {
    let told = it.run("2024-05-06").expect(0);
    let told = told.says(&[
        "a run of pipeline_vendas is triggered on airflow",
        "2024-05-06 create_cluster: success",
        "2024-05-06 wait_for_step: success",
        "2024-05-06 end_cluster: success",
        "2024-05-06: vendas is done",
        "The run's report: ",
    ]);
    let row = told.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = row.into_iter().find(|row| row.get(1) == Some(&"processa")).expect("a row of the job");
    assert_eq!(row[2..5], ["COMPLETED", &SALES.to_string(), &SALES.to_string()], "{}", told.out);
    let page = told.err.lines().find_map(|line| line.strip_prefix("The run's report: ")).expect("a path");
    assert!(it.project.read(page).contains("2024-05-06"));

    // The cluster was the spec's, of the run's own name, and has ended; `infra cluster` has nothing to do with it.
    let clusters = it.clusters();
    let [first] = &clusters[..] else { panic!("{clusters:?}") };
    assert_eq!((&first["state"], &first["steps"]), (&json!("TERMINATED"), &json!(["COMPLETED"])), "{first}");
    assert_eq!((&first["name"], &first["release"]), (&json!("vendas 2024-05-06"), &json!("emr-7.0.0")), "{first}");
    let subnet = it.project.id(&FLAGS, "subnet/public");
    assert_eq!(first["instances"]["Ec2SubnetId"], subnet.as_str(), "{first}");
    it.local(&["verify"]).expect(0);

    // Its totals are those of the files.
    let summary = it.summary();
    let mut totals = Command::new(python());
    let totals = made_in(totals.args(["-c", TOTALS]), &it.bronze());
    let text = |name: &str| summary[name].as_str().map_or(summary[name].clone(), |text| json!(text));
    assert_eq!(json!([text("out"), text("quantity"), text("value"), text("commission")]), totals, "{summary}");
    assert_eq!(summary["in"], SALES);

    // A day whose step fails: the run has failed, and its cluster has ended all the same.
    it.aws.run(&format!("s3 rm --recursive --quiet s3://{}/bronze/usuarios/", it.bucket));
    let told = it.run("2024-05-07").expect(1);
    told.says(&["the run of vendas failed: wait_for_step", "2024-05-07 end_cluster: success", "begin anew"]);
    let clusters = it.clusters();
    assert_eq!(clusters.len(), 2, "{clusters:?}");
    assert!(clusters.iter().all(|cluster| cluster["state"] == "TERMINATED"), "{clusters:?}");
    assert!(clusters.iter().any(|cluster| cluster["steps"] == json!(["FAILED"])), "{clusters:?}");

    // Killed while the step is at work, the program is of no consequence: the run goes on, and is found again.
    it.copy_bronze();
    let arguments = [&["--local"], &FLAGS[..], &["pipeline", "run", "--date", "2024-05-07", "--yes"]].concat();
    let mut running = crate::support::cli::Running::start(it.project.command(None, &arguments));
    running.until("2024-05-07 add_step: success");
    running.kill();
    it.run("2024-05-07").expect(0).says(&["at work already, and is followed", "2024-05-07: vendas is done"]);
    let again = it.summary();
    for name in ["in", "out", "quantity", "value", "commission"] {
        assert_eq!(again[name], summary[name], "{name}");
    }
    until("all clusters have ended", Duration::from_mins(2), || {
        it.clusters().iter().all(|cluster| cluster["state"] == "TERMINATED")
    });
    assert_eq!(it.clusters().len(), 3);
    it.run("2024-05-07").expect(0).says(&["done already"]);
}
