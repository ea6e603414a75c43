//! What is measured on which service, and in which order.

use rustix::process::{Resource, getrlimit};

use super::{
    CliError, Run,
    bare::bare,
    candidate::Candidate,
    connections::connections,
    drain::{Case, drain},
    growth::growth,
    job::Kind,
    latency::{MOST_USERS, latency},
    machine::Machine,
    options::What,
    report::Report,
    row::Figure,
};

/// Open files of the bench and of a service, besides one for each socket.
const OTHER_FILES: u64 = 1_000;

/// Runs all requested measurements, in all rounds; every second round starts with the peer.
pub(super) async fn measure(run: &Run<'_>, what: &[What]) -> Result<Report, CliError> {
    let what = if what.is_empty() { &What::USUAL } else { what };
    let mut report = Report::new(Machine::look(run.stage).await?);
    let mut candidates = vec![Candidate::Octavo(1)];
    candidates.extend(Candidate::peer(run.options)?);
    for _ in 0..run.options.rounds {
        for what in what {
            run.one(*what, &candidates, &mut report).await?;
        }
        candidates.reverse();
    }
    Ok(report)
}

impl Run<'_> {
    async fn one(&self, what: What, candidates: &[Candidate], report: &mut Report) -> Result<(), CliError> {
        let options = self.options;
        match what {
            What::Drain => {
                for kind in &options.kinds {
                    self.drains(&self.small(*kind), candidates, report).await?;
                }
            }
            What::Images => self.drains(&self.images(), candidates, report).await?,
            What::Latency => {
                for candidate in candidates {
                    self.latencies(candidate, report).await?;
                }
            }
            What::Connections => {
                let count = self.sockets();
                for candidate in candidates {
                    connections(self, candidate, count).await?.into_iter().for_each(|row| report.add(row));
                }
            }
            What::Nodes => {
                let case = Case { of: "nodes", ..self.small(Kind::Create) };
                for nodes in [1, 2] {
                    report.add(drain(self, &case, &Candidate::Octavo(nodes), false).await?);
                }
            }
            What::Growth => {
                let usual = if options.quick { vec![100, 1_000] } else { vec![1_000, 100_000, 1_000_000] };
                for waiting in options.waiting.as_ref().unwrap_or(&usual) {
                    let done = options.or(options.done, 20_000, 500);
                    report.add(growth(self, *waiting as usize, done as usize).await?);
                }
            }
        }
        Ok(())
    }

    /// Drains one backlog with every candidate, and measures what the servers allow.
    async fn drains(
        &self,
        case: &Case,
        candidates: &[Candidate],
        report: &mut Report,
    ) -> Result<(), CliError> {
        for candidate in candidates {
            report.add(drain(self, case, candidate, false).await?);
            if *candidate == Candidate::Octavo(1) {
                report.add(drain(self, case, candidate, true).await?);
            }
        }
        bare(self, case).await?.into_iter().for_each(|row| report.add(row));
        Ok(())
    }

    /// Measures latency on a quiet service, and at half the rate of a drain of creates from many users, which is
    /// measured first.
    async fn latencies(&self, candidate: &Candidate, report: &mut Report) -> Result<(), CliError> {
        let rate = f64::from(self.options.rate);
        let seconds = self.options.or(self.options.seconds, 20, 2);
        report.add(latency(self, candidate, &format!("{rate:.0} jobs/s"), rate, seconds).await?);
        let most = self.most();
        let row = drain(self, &most, candidate, false).await?;
        let half = (row.value(Figure::JobsPerS).unwrap_or(rate) / 2.0).max(1.0);
        report.add(row);
        report.add(latency(self, candidate, "half of the most", half, seconds).await?);
        Ok(())
    }

    fn most(&self) -> Case {
        let small = self.small(Kind::Create);
        Case {
            name: format!("create, {MOST_USERS} users"),
            jobs: small.jobs.div_ceil(3),
            users: MOST_USERS,
            ..small
        }
    }

    fn small(&self, kind: Kind) -> Case {
        let options = self.options;
        let jobs = options.or(options.jobs, 60_000, 500) as usize;
        let users = options.users.map_or(kind.users(), |users| users as usize);
        Case { of: "drain", name: kind.word().to_owned(), kind, jobs, users, image: 200 }
    }

    fn images(&self) -> Case {
        let options = self.options;
        let jobs = options.or(options.image_jobs, 3_000, 20) as usize;
        let users = options.users.map_or(1, |users| users as usize);
        let name = "create, 2 × 200 KB".to_owned();
        Case { of: "images", name, kind: Kind::Create, jobs, users, image: 200_000 }
    }

    /// As many sockets as asked for, or as the limit of open files allows.
    fn sockets(&self) -> usize {
        let asked = self.options.or(self.options.sockets, 10_000, 200);
        let limit = getrlimit(Resource::Nofile)
            .current
            .map_or(u64::from(asked), |limit| limit.saturating_sub(OTHER_FILES));
        let count = u32::try_from(limit).map_or(asked, |limit| asked.min(limit)).max(1);
        if count < asked {
            self.progress.note(&format!(
                "only {count} of {asked} sockets: open files are limited; raise the hard limit, ulimit -Hn"
            ));
        }
        count as usize
    }
}
