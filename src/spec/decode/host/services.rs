//! What runs on a host.

use std::time::Duration;

use super::super::{
    super::{
        error::Diagnostic,
        model::{Airflow, Docker, Luigi, Service, Spanned, Table},
        shape::{Object, Shape, optional},
        tree::{Key, Node},
    },
    Fields,
};

/// `services` of a host.
pub(super) static SERVICES: Object = Object {
    name: "services",
    doc: "What runs on a host.",
    fields: &[
        optional("docker", "The docker engine.", Shape::Object(&DOCKER)),
        optional("luigi", "luigi's scheduler, reached by `infra open luigi`.", Shape::Object(&LUIGI)),
        optional("airflow", "Airflow, reached by `infra open airflow`.", Shape::Object(&AIRFLOW)),
    ],
};

static DOCKER: Object = Object {
    name: "docker",
    doc: "The docker engine.",
    fields: &[optional(
        "users",
        "Logins that may use it without sudo, which is as good as root; nobody unless said.",
        Shape::List(&Shape::Text),
    )],
};

static LUIGI: Object = Object {
    name: "luigi",
    doc: "luigi's scheduler, on the private address only.",
    fields: &[
        optional("port", "Port of its page; 8082 unless said.", Shape::Integer(1_024, 65_535)),
        optional("version", "Its version, in quotes: 3.8.1 unless said, or 3.6.0.", Shape::Form(VERSION, "\"3.6.0\"")),
        optional("history", "How long finished tasks are kept; 14d unless said.", Shape::Duration),
    ],
};

static AIRFLOW: Object = Object {
    name: "airflow",
    doc: "Airflow in a Python environment.",
    fields: &[
        optional("port", "Port of its page; 8080 unless said.", Shape::Integer(1_024, 65_535)),
        optional("version", "Its version; 2.8.0 unless said.", Shape::Form(VERSION, "\"2.8.0\"")),
        optional(
            "python",
            "Python's version, in quotes; \"3.10\" unless said, or \"3.11\".",
            Shape::Form(r"^(3\.\d+|.*\$\{.*)$", "\"3.10\""),
        ),
        optional(
            "standalone",
            "One process (`airflow standalone`) instead of scheduler and webserver apart; false unless said.",
            Shape::Boolean,
        ),
        optional("admin", "Its administrator's login; `admin` unless said.", Shape::Text),
    ],
};

/// The versions of luigi, Airflow and Airflow's Python that `templates/hosts/` has a pinned set of packages for.
const LUIGI_VERSIONS: &[&str] = &["3.8.1", "3.6.0"];
const AIRFLOW_VERSIONS: &[&str] = &["2.8.0"];
const AIRFLOW_PYTHONS: &[&str] = &["3.10", "3.11"];

const VERSION: &str = r"^(\d+\.\d+\.\d+|.*\$\{.*)$";

/// Reads `services`.
pub(super) fn read(host: &Fields<'_, '_>) -> Table<Service> {
    let mut table = Table::new();
    let Some((key, node)) = host.entry("services") else { return table };
    let Some(fields) = Fields::open(host.decoder, &SERVICES, format!("`services` of {}", host.label), &key.span, node)
    else {
        return table;
    };
    let mut put = |entry: Option<(&Key, &Node)>, read: &dyn Fn(&Fields<'_, '_>) -> Service, object: &'static Object| {
        let Some((key, node)) = entry else { return };
        let label = format!("service `{}` of {}", key.text, host.label);
        if let Some(fields) = Fields::open(host.decoder, object, label, &key.span, node) {
            table.insert(key.text.clone(), Spanned::new(read(&fields), key.span.clone()));
        }
    };
    put(fields.entry("docker"), &docker, &DOCKER);
    put(fields.entry("luigi"), &luigi, &LUIGI);
    put(fields.entry("airflow"), &airflow, &AIRFLOW);
    table.sort_by(|_, a, _, b| a.span.cmp(&b.span));
    table
}

fn docker(fields: &Fields<'_, '_>) -> Service {
    let users = fields.list("users").iter().filter_map(|node| {
        let (login, shown) = fields.decoder.fixed_shown(node, &fields.what("users"))?;
        if !super::good_login(&login) {
            fields.decoder.report(Diagnostic::at(&login.span, format!("`{shown}` is no login")).hint("e.g. ubuntu"));
        }
        Some(login)
    });
    Service::Docker(Docker { users: users.collect() })
}

fn luigi(fields: &Fields<'_, '_>) -> Service {
    let history = fields.duration("history").unwrap_or_else(|| fields.default(Duration::from_hours(14 * 24)));
    if *history < Duration::from_hours(24) {
        let error = Diagnostic::at(&history.span, format!("{} must be a day at least", fields.what("history")));
        fields.decoder.report(error.hint("e.g. 14d"));
    }
    Service::Luigi(Luigi { port: port(fields, 8_082), version: version(fields, "version", LUIGI_VERSIONS), history })
}

fn airflow(fields: &Fields<'_, '_>) -> Service {
    let text =
        |name, known: &[&str]| version(fields, name, known).unwrap_or_else(|| fields.default(known[0].to_owned()));
    Service::Airflow(Airflow {
        port: port(fields, 8_080),
        version: text("version", AIRFLOW_VERSIONS),
        python: text("python", AIRFLOW_PYTHONS),
        standalone: fields.boolean_or("standalone", false),
        admin: admin(fields).unwrap_or_else(|| fields.default("admin".to_owned())),
    })
}

/// The administrator's login. It stands in a unit of systemd, where blanks and `%` have a meaning.
fn admin(fields: &Fields<'_, '_>) -> Option<Spanned<String>> {
    let (login, shown) = fields.decoder.fixed_shown(fields.node("admin")?, &fields.what("admin"))?;
    if !super::good_login(&login) {
        let error = Diagnostic::at(&login.span, format!("{} cannot be `{shown}`", fields.what("admin")));
        fields.decoder.report(error.hint("lower-case letters, digits, `-` and `_`, e.g. admin"));
    }
    Some(login)
}

fn port(fields: &Fields<'_, '_>, default: u16) -> Spanned<u16> {
    let port = fields.integer("port").map(|port| port.map(|port| u16::try_from(port).unwrap_or(default)));
    port.unwrap_or_else(|| fields.default(default))
}

/// One of the versions that are known; the first is the default.
fn version(fields: &Fields<'_, '_>, name: &'static str, known: &[&str]) -> Option<Spanned<String>> {
    let (version, shown) = fields.decoder.fixed_shown(fields.node(name)?, &fields.what(name))?;
    if !known.contains(&version.as_str()) {
        let error = Diagnostic::at(&version.span, format!("{} cannot be `{shown}`", fields.what(name)));
        let known = known.iter().map(|known| format!("\"{known}\"")).collect::<Vec<_>>().join(" or ");
        fields.decoder.report(error.hint(format!("infra has a tested set of packages for {known}")));
    }
    Some(version)
}
