//! The web pages that a cluster has on its master, by its release and applications.
//! Source: "View web interfaces hosted on Amazon EMR clusters", Amazon EMR management guide.

/// A page on the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its name for `infra open`.
    pub name: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// The application that brings it; nothing where every cluster has it.
    pub application: Option<&'static str>,
    /// Its port.
    pub port: u16,
    /// What a browser asks for.
    pub path: &'static str,
    /// Whether it is served with TLS.
    pub tls: bool,
}

/// Hadoop 3, which came with this release, moved the ports of HDFS.
/// Source: "Apache Hadoop 3.0.0", "Default ports of multiple services have been changed".
const HADOOP_3: (u16, u16) = (6, 0);

const fn page(name: &'static str, title: &'static str, port: u16, path: &'static str) -> Page {
    Page { name, title, application: None, port, path, tls: false }
}

const fn of_application(page: Page, application: &'static str) -> Page {
    Page { application: Some(application), ..page }
}

/// All pages that there can be, those of HDFS as before Hadoop 3.
const PAGES: [Page; 12] = [
    of_application(page("zeppelin", "notebooks", 8890, "/"), "Zeppelin"),
    of_application(page("spark", "Spark's history server", 18080, "/"), "Spark"),
    page("yarn", "YARN's resource manager", 8088, "/cluster"),
    of_application(page("ganglia", "load of the machines", 80, "/ganglia/"), "Ganglia"),
    page("hdfs", "HDFS's name node", 50070, "/"),
    of_application(page("livy", "sessions of Spark over HTTP", 8998, "/ui"), "Livy"),
    of_application(page("hue", "Hue", 8888, "/"), "Hue"),
    Page { tls: true, ..of_application(page("jupyterhub", "JupyterHub", 9443, "/"), "JupyterHub") },
    of_application(page("hbase", "HBase's master", 16010, "/"), "HBase"),
    of_application(page("tez", "Tez", 8080, "/tez-ui/"), "Tez"),
    of_application(page("flink", "Flink's history server", 8082, "/"), "Flink"),
    of_application(page("trino", "Trino", 8889, "/ui/"), "Trino"),
];

/// The pages of a cluster of `release` (`emr-5.29.0`) with `applications`.
pub fn of<'a>(release: &str, applications: impl IntoIterator<Item = &'a str>) -> Vec<Page> {
    let applications: Vec<&str> = applications.into_iter().collect();
    let has = |page: &Page| {
        page.application
            .is_none_or(|name| applications.iter().any(|application| application.eq_ignore_ascii_case(name)))
    };
    PAGES.into_iter().filter(has).map(|page| at(page, version(release))).collect()
}

/// The page of this name, whether or not a cluster has it.
pub fn named(name: &str) -> Option<Page> {
    PAGES.into_iter().find(|page| page.name == name)
}

/// The names of all pages that there can be.
pub fn names() -> impl Iterator<Item = &'static str> {
    PAGES.into_iter().map(|page| page.name)
}

fn at(page: Page, version: (u16, u16)) -> Page {
    match page.name {
        "hdfs" if version >= HADOOP_3 => Page { port: 9870, ..page },
        _ => page,
    }
}

fn version(release: &str) -> (u16, u16) {
    let mut numbers = release.trim_start_matches("emr-").split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl Page {
    /// Its address, on the machine that is called `host`.
    pub fn url(&self, host: &str) -> String {
        let (scheme, usual) = if self.tls { ("https", 443) } else { ("http", 80) };
        let port = if self.port == usual { String::new() } else { format!(":{}", self.port) };
        format!("{scheme}://{host}{port}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_the_pages_of_its_applications_at_the_ports_of_its_release() {
        let urls = |release: &str, applications: &[&str]| -> Vec<String> {
            of(release, applications.iter().copied()).iter().map(|page| page.url("m")).collect()
        };
        assert_eq!(
            urls("emr-5.29.0", &["Hadoop", "spark", "Ganglia", "Zeppelin"]),
            ["http://m:8890/", "http://m:18080/", "http://m:8088/cluster", "http://m/ganglia/", "http://m:50070/"]
        );
        for release in ["emr-6.0.0", "emr-7.0.0"] {
            assert_eq!(urls(release, &["JupyterHub"]), ["http://m:8088/cluster", "http://m:9870/", "https://m:9443/"]);
        }
        assert!(urls("emr-5.36.2", &[]).contains(&"http://m:50070/".to_owned()));
    }
}
