//! `keys` and `hosts`.

mod ports;
mod services;

use ipnet::IpNet;

use super::{
    super::{
        error::{Diagnostic, choices, nearest},
        model::{Departed, Disk, FilePath, Host, HostUsers, Image, Instance, Place, Server, Spanned},
        shape::{Kind, Object, Shape, optional, required},
        tables::{IMAGES, type_malformed},
        tree::{Data, Key, Node},
        users::good_login,
    },
    Decoder, Fields, key,
};
use crate::credentials::public_key::PublicKey;

/// A host.
pub(super) static HOST: Object = Object {
    name: "host",
    doc: "A machine: made by the stack (`subnet`), or there already (`address`). Those made have encrypted disks and IMDSv2 only.",
    fields: &[
        optional("subnet", "The subnet that it is made in.", Shape::Name(Kind::Subnet)),
        optional("address", "Host name or address of a server that exists already; nothing on AWS is made for it.", Shape::Text),
        optional("port", "The SSH port of a server that exists already; 22 unless said.", Shape::Integer(1, 65_535)),
        optional(
            "host_key",
            "The SSH key that a server which exists already must show (`ssh-ed25519 AAAA…`); one that `~/.ssh/known_hosts` has unless said.",
            Shape::Text,
        ),
        optional("type", "The instance type.", Shape::Form(r"^([a-z][a-z0-9-]*\.[a-z0-9-]+|.*\$\{.*)$", "t3.micro"))
            .also(&["instance_type", "size"]),
        optional(
            "image",
            "What it boots from: a name, `ami-…`, or a filter; `ubuntu-22.04` unless said. A newer image replaces no host.",
            Shape::Either(&[Shape::Suggest(&["ubuntu-22.04", "ubuntu-24.04", "ubuntu-20.04", "debian-12", "amazon-linux-2023"]), Shape::Object(&IMAGE)]),
        )
        .also(&["ami"]),
        optional("disk", "Its encrypted gp3 disk: a size (`8GiB`), or a map; 8GiB unless said.", Shape::Either(&[Shape::Size, Shape::Object(&DISK)]))
            .also(&["volume", "storage"]),
        optional("ssh_from", "Who may come in by SSH from outside: ranges of addresses.", Shape::Many(&Shape::Text)),
        optional("allow_world", "Allows `0.0.0.0/0` in `ssh_from`; every plan shows it. Avoid it.", Shape::Boolean),
        optional("ports", "Other ports, and who may reach them.", Shape::List(&Shape::Object(&ports::PORT))),
        optional("role", "The role that it has; the role needs `profile: true`.", Shape::Name(Kind::Role)).also(&["profile", "iam_role"]),
        optional("key", "The SSH key of its administrator; the only key unless said.", Shape::Name(Kind::Key)).also(&["key_name"]),
        optional("via", "The host that SSH jumps through.", Shape::Name(Kind::Host)).also(&["bastion", "jump"]),
        optional("login", "Login of its administrator; the image's unless said (`ubuntu`).", Shape::Text).also(&["user"]),
        optional("elastic_ip", "Whether its public address stays the same when it is stopped; false unless said.", Shape::Boolean),
        optional("private_address", "A fixed address inside its subnet; AWS's choice unless said.", Shape::Form(r"^(\d{1,3}(\.\d{1,3}){3}|.*\$\{.*)$", "10.0.0.10")),
        optional("protect", "Whether it cannot be terminated, also not by `destroy`; false unless said.", Shape::Boolean),
        optional("users", "People with logins on it: a file, or a map.", Shape::Either(&[Shape::Text, Shape::Object(&USERS)])),
        optional("services", "What runs on it.", Shape::Object(&services::SERVICES)),
    ],
};

static IMAGE: Object = Object {
    name: "image",
    doc: "The newest image of an owner whose name matches.",
    fields: &[
        required("owner", "The owner's account number in quotes, or `amazon`.", Shape::Text),
        required("name", "The image's name, with `*` and `?`.", Shape::Text),
    ],
};

static DISK: Object = Object {
    name: "disk",
    doc: "An encrypted gp3 disk.",
    fields: &[
        required("size", "Its size, e.g. `8GiB`.", Shape::Size),
        optional("iops", "I/O operations a second; 3000 unless said.", Shape::Integer(3_000, 16_000)),
        optional("throughput", "MiB/s; 125 unless said.", Shape::Integer(125, 1_000)),
    ],
};

static USERS: Object = Object {
    name: "host_users",
    doc: "People with logins on a host.",
    fields: &[
        required("file", "The file that lists them, one login a line.", Shape::Text),
        optional(
            "keys",
            "The folder of their public keys, `LOGIN.pub` each; `keys` beside the file unless said.",
            Shape::Text,
        ),
        optional(
            "sudo",
            "Whether they may become root unless their line says otherwise; true unless said. Those without a password are not asked for one.",
            Shape::Boolean,
        ),
        optional(
            "password",
            "A file with one password for all whose line names none: a sha512-crypt hash (`infra users hash`) or, readable by you alone, the password; no passwords unless said. SSH takes keys only: it is for sudo.",
            Shape::Text,
        ),
        optional(
            "change_password",
            "Whether the password must be changed at the first login, and is then left alone; false unless said.",
            Shape::Boolean,
        ),
        optional("departed", "What happens to those who left the file; `lock` unless said.", Shape::Word(DEPARTED)),
    ],
};

const DEPARTED: &[(&str, &str)] =
    &[("lock", "locked, keys removed, files kept"), ("delete", "removed with their files")];

/// What only a host that the stack makes can have.
const MADE_ONLY: [&str; 11] = [
    "type",
    "image",
    "disk",
    "ssh_from",
    "allow_world",
    "ports",
    "role",
    "elastic_ip",
    "private_address",
    "protect",
    "subnet",
];

/// Reads a host.
pub(super) fn read(decoder: &Decoder<'_>, name: &Key, node: &Node) -> Option<Host> {
    let fields = Fields::open(decoder, &HOST, format!("host `{}`", name.text), &name.span, node)?;
    let via = fields.name("via");
    let own_key = fields.name("key");
    let login = login(&fields);
    let users = users(&fields);
    let services = services::read(&fields);
    let (place, image_login) = if fields.has("address") {
        (Place::Server(server(&fields)?), None)
    } else {
        let instance = instance(&fields);
        let image_login = instance.as_ref().and_then(|instance| match &instance.image.value {
            Image::Known(known) => Some(known.login),
            _ => None,
        });
        (Place::Instance(Box::new(instance?)), image_login)
    };
    let made = matches!(place, Place::Instance(_));
    let key = own_key.or_else(|| key::only(&fields, made && !fields.has("key")));
    let login = login.unwrap_or_else(|| fields.default(image_login.unwrap_or("ubuntu").to_owned()));
    Some(Host { place, login, via, key, users, services })
}

fn server(fields: &Fields<'_, '_>) -> Option<Server> {
    for name in MADE_ONLY {
        if let Some((key, _)) = fields.entry(name) {
            let error =
                Diagnostic::at(&key.span, format!("{} exists already, so it cannot have `{name}`", fields.label));
            fields.decoder.report(error.hint("remove it; or remove `address`, and the stack makes the host"));
        }
    }
    let address = fields.text("address")?;
    let sample = address.sample();
    let good = !sample.is_empty()
        && sample.len() <= 253
        && !sample.starts_with('-')
        && sample.chars().all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c));
    if !good {
        let error = Diagnostic::at(&address.span, format!("`{}` is no host name or address", address.shown()));
        fields.decoder.report(error.hint("the login stands in `login`, the port in `port`"));
    }
    let port = fields.integer("port").map(|port| port.map(|port| u16::try_from(port).unwrap_or(22)));
    let host_key = fields.node("host_key").and_then(|node| {
        let (key, _) = fields.decoder.fixed_shown(node, &fields.what("host_key"))?;
        match PublicKey::parse(&key) {
            Ok(good) => Some(key.map(|_| good.material().to_owned())),
            Err(refused) => {
                let error = Diagnostic::at(&node.span, format!("`host_key`: {}", refused.message));
                fields
                    .decoder
                    .report(error.hint("`ssh-keyscan HOST` shows a host's keys; compare with the host's own"));
                None
            }
        }
    });
    Some(Server { address, port: port.unwrap_or_else(|| fields.default(22)), host_key })
}

fn instance(fields: &Fields<'_, '_>) -> Option<Instance> {
    let decoder = fields.decoder;
    for (name, hint) in [
        ("subnet", "name the subnet that it is made in; or, for a server that exists already, its `address`"),
        ("type", "the instance type, e.g. `type: t3.micro`"),
    ] {
        if !fields.has(name) {
            decoder
                .report(Diagnostic::at(&fields.span, format!("missing field `{name}` in {}", fields.label)).hint(hint));
        }
    }
    if let Some((key, _)) = fields.entry("port") {
        let error = Diagnostic::at(&key.span, "`port` is the SSH port of a host with `address`");
        decoder.report(error.hint("ports to open stand in `ports`"));
    }
    let subnet = fields.name("subnet");
    let instance_type = fields.node("type").and_then(|node| decoder.instance_type(node, &fields.what("type")));
    let image = image(fields);
    let disk = disk(fields);
    let allow_world = fields.boolean("allow_world").filter(|allow| allow.value);
    let mut ssh_from: Vec<Spanned<IpNet>> = Vec::new();
    for node in fields.many("ssh_from") {
        if let Some(range) = decoder.range(node, &fields.what("ssh_from")) {
            ports::check_world(fields, &range, 22, allow_world.as_ref());
            ssh_from.push(range);
        }
    }
    let complete = ssh_from.len() == fields.many("ssh_from").len();
    let ports = ports::read(fields);
    let role = fields.name("role");
    let elastic_ip = fields.boolean_or("elastic_ip", false);
    let protect = fields.boolean_or("protect", false);
    let private_address = fields.address4("private_address");
    if !complete {
        return None;
    }
    Some(Instance {
        subnet: subnet?,
        instance_type: instance_type?,
        image: image?,
        disk: disk?,
        ports,
        ssh_from,
        allow_world,
        role,
        elastic_ip,
        protect,
        private_address,
    })
}

impl Decoder<'_> {
    /// An instance type, by its form.
    pub(super) fn instance_type(&self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let (text, shown) = self.fixed_shown(node, what)?;
        if let Some(malformed) = type_malformed(&text) {
            let hint = malformed
                .hint
                .filter(|_| shown == text.value)
                .unwrap_or_else(|| "a type is FAMILY.SIZE, e.g. t3.micro or m5.xlarge".into());
            self.report(Diagnostic::at(&text.span, format!("`{shown}` is no instance type")).hint(hint));
            return None;
        }
        Some(text)
    }
}

fn image(fields: &Fields<'_, '_>) -> Option<Spanned<Image>> {
    let decoder = fields.decoder;
    let known = |name: &str| IMAGES.iter().find(|image| image.name == name);
    let Some((key, node)) = fields.entry("image") else {
        return known("ubuntu-22.04").map(|image| fields.default(Image::Known(image)));
    };
    if let Data::Map(_) = node.data {
        let filter = Fields::open(decoder, &IMAGE, fields.what("image"), &key.span, node)?;
        let (owner, name) = (filter.fixed("owner"), filter.fixed("name"));
        return Some(Spanned::new(Image::Filter { owner: owner?.value, name: name?.value }, key.span.clone()));
    }
    let (text, shown) = decoder.fixed_shown(node, &fields.what("image"))?;
    if let Some(image) = known(&text) {
        return Some(text.map(|_| Image::Known(image)));
    }
    if let Some(id) = text.strip_prefix("ami-") {
        if (8..=17).contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()) {
            return Some(text.map(Image::Id));
        }
        let error = Diagnostic::at(&text.span, format!("`{shown}` is no image's id"));
        decoder.report(error.hint("an id is `ami-` with 8 or 17 hexadecimal digits"));
        return None;
    }
    let names = || IMAGES.iter().map(|image| image.name);
    let hint = match nearest(&text, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be {}, `ami-…`, or `{{ owner, name }}`", choices(names())),
    };
    decoder.report(Diagnostic::at(&text.span, format!("unknown image `{shown}`")).hint(hint));
    None
}

fn disk(fields: &Fields<'_, '_>) -> Option<Spanned<Disk>> {
    let plain = |gib: u32| Disk { gib, iops: 3_000, throughput: 125 };
    let Some((key, node)) = fields.entry("disk") else { return Some(fields.default(plain(8))) };
    if !matches!(node.data, Data::Map(_)) {
        return fields.gib("disk", 1, 16_384).map(|gib| gib.map(plain));
    }
    let disk = Fields::open(fields.decoder, &DISK, fields.what("disk"), &key.span, node)?;
    let (size, iops, throughput) =
        (disk.gib("size", 1, 16_384), disk.integer_or("iops", 3_000), disk.integer_or("throughput", 125));
    // gp3 gives at most 500 IOPS a GiB, and a quarter MiB/s an IOPS.
    if let Some(size) = size.as_ref().filter(|size| iops.value > 3_000 && iops.value > size.value.saturating_mul(500)) {
        let error = Diagnostic::at(
            &iops.span,
            format!("{} GiB cannot have {} I/O operations a second", size.value, iops.value),
        );
        fields.decoder.report(error.hint("gp3 gives at most 500 for each GiB"));
    }
    if throughput.value > iops.value / 4 {
        let error = Diagnostic::at(
            &throughput.span,
            format!("{} MiB/s need {} I/O operations a second", throughput.value, throughput.value * 4),
        );
        fields.decoder.report(error.hint("raise `iops`"));
    }
    let disk = Disk { gib: size?.value, iops: iops.value, throughput: throughput.value };
    Some(Spanned::new(disk, node.span.clone()))
}

fn login(fields: &Fields<'_, '_>) -> Option<Spanned<String>> {
    let (login, shown) = fields.decoder.fixed_shown(fields.node("login")?, &fields.what("login"))?;
    if !good_login(&login) {
        let error = Diagnostic::at(&login.span, format!("`{shown}` is no login"));
        fields.decoder.report(
            error.hint("it begins with a letter or `_` and has lower-case letters, digits, `-` and `_`, 32 at most"),
        );
    }
    Some(login)
}

fn users(fields: &Fields<'_, '_>) -> Option<Spanned<HostUsers>> {
    let decoder = fields.decoder;
    let (key, node) = fields.entry("users")?;
    let beside = |file: &FilePath| {
        let folder = |path: &str| path.rfind('/').map_or(String::new(), |at| path[..=at].to_owned());
        let path = file.path.parent().map(|parent| parent.join("keys")).unwrap_or_default();
        FilePath { written: format!("{}keys", folder(&file.written)), path }
    };
    if !matches!(node.data, Data::Map(_)) {
        let file = fields.path("users")?;
        let (keys, span) = (beside(&file), file.span.clone());
        let (sudo, departed) = (fields.default(true), fields.default(Departed::Lock));
        let change_password = fields.default(false);
        let people = Vec::new();
        let users = HostUsers { file, keys, sudo, password: None, change_password, departed, people };
        return Some(Spanned::new(users, span));
    }
    let users = Fields::open(decoder, &USERS, fields.what("users"), &key.span, node)?;
    let (file, keys, password) = (users.path("file"), users.path("keys"), users.path("password"));
    let sudo = users.boolean_or("sudo", true);
    let change_password = users.boolean_or("change_password", false);
    let departed = users
        .word("departed")
        .map(|word| word.map(|word| if word == "delete" { Departed::Delete } else { Departed::Lock }));
    let departed = departed.unwrap_or_else(|| users.default(Departed::Lock));
    let file = file?;
    let keys = keys.map_or_else(|| beside(&file), |keys| keys.value);
    let people = Vec::new();
    let users = HostUsers { file, keys, sudo, password, change_password, departed, people };
    Some(Spanned::new(users, key.span.clone()))
}
