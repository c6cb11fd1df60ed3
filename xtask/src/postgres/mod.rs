//! Where PostgreSQL comes from: `DATABASE_URL`, else a private cluster, else the package manager first. What is told
//! about it goes to the error output: the other one may be wanted for figures.

mod cluster;
mod fresh_database;
mod installation;
mod owner;
mod url;

use crate::project::Project;

pub(crate) use cluster::{Cluster, Purpose};
pub(crate) use fresh_database::FreshDatabase;
pub(crate) use url::DatabaseUrl;

/// A database server that is there to be used.
pub(crate) struct Postgres {
    pub(crate) url: DatabaseUrl,
    /// Held for its end: a private server stops with this.
    _cluster: Option<Cluster>,
}

impl Postgres {
    /// The database of `DATABASE_URL` where that is set; else of a private cluster, made and started as needed.
    pub(crate) fn open(project: &Project, purpose: Purpose) -> anyhow::Result<Self> {
        if let Some(given) = std::env::var("DATABASE_URL").ok().filter(|given| !given.is_empty()) {
            let url = DatabaseUrl::parse(&given)?;
            eprintln!("PostgreSQL: {} (from DATABASE_URL)", url.without_password());
            return Ok(Self { url, _cluster: None });
        }
        let cluster = Cluster::start(project, purpose)?;
        let url = cluster.url()?;
        eprintln!(
            "PostgreSQL {}: {} (private, {})",
            cluster.version(),
            url.without_password(),
            cluster.place()
        );
        Ok(Self { url, _cluster: Some(cluster) })
    }
}
