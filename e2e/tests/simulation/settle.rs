//! Everything that is due runs, in an order that the dice choose, message by message.

use std::time::Duration;

use worker::jobs;

use crate::{
    bench::{APIS, Bench},
    faults,
    life::Life,
    process::{Others, Process, Stand},
    watch,
};

/// Longer than any seed takes: leases end here when the simulation says so.
const LEASE: Duration = Duration::from_hours(1);
const MOVES: usize = 5_000;
/// How the end of a task begins that has seen what must not be.
const BROKEN: &str = "BROKEN";

/// Where a process sits, and what it is at.
pub(crate) struct Seat {
    pub(crate) host: usize,
    pub(crate) at: Option<At>,
    /// Found nothing to do, and nothing has happened since.
    rests: bool,
}

pub(crate) struct At {
    pub(crate) process: Process,
    pub(crate) what: String,
    pub(crate) job: Option<(i64, String)>,
    pub(crate) locked: bool,
}

impl Seat {
    /// So many workers, and the APIs as the last.
    pub(crate) fn all(bench: &Bench, workers: usize) -> Vec<Self> {
        let hosts = (0..workers).chain(bench.hosts.len() - APIS..bench.hosts.len());
        hosts.map(|host| Self { host, at: None, rests: false }).collect()
    }
}

/// Everybody who may hold a lock.
fn others(bench: &Bench) -> Others<'_> {
    Others { busy: bench.hosts.iter().flat_map(|host| host.wire.busy()).collect(), desk: bench.desk() }
}

impl Life<'_> {
    pub(crate) async fn settle(&mut self) {
        self.run_the_schedule().await;
        self.wake_all();
        for _ in 0..MOVES {
            if !self.broken.is_empty() || !self.one_move().await {
                self.land_what_is_adrift().await;
                return;
            }
        }
        self.broken.push("jobs make jobs without end".to_owned());
    }

    pub(crate) fn wake_all(&mut self) {
        for seat in &mut self.seats {
            seat.rests = false;
        }
    }

    pub(crate) fn workers(&self) -> usize {
        self.seats.len() - APIS
    }

    /// False: nobody has anything to do.
    async fn one_move(&mut self) -> bool {
        if self.rough {
            self.trouble().await;
        }
        let workers = self.workers();
        let able = |(number, seat): (usize, &Seat)| match &seat.at {
            Some(at) => (!at.locked).then_some(number),
            None => (number < workers && !seat.rests).then_some(number),
        };
        let able: Vec<usize> = self.seats.iter().enumerate().filter_map(able).collect();
        if able.is_empty() {
            if self.seats.iter().any(|seat| seat.at.is_some()) {
                self.broken.push("all that are at work wait for each other".to_owned());
            }
            return false;
        }
        let seat = self.dice.pick(&able);
        self.bench.tick();
        if self.seats[seat].at.is_some() {
            self.step(seat).await;
        } else {
            self.claim(seat).await;
        }
        true
    }

    async fn claim(&mut self, seat: usize) {
        let host = &self.bench.hosts[self.seats[seat].host];
        let now = self.bench.now();
        let claimed = queue::claim(&host.env.pool, jobs::KINDS, 1, LEASE, &host.name, now).await.unwrap();
        let Some(claimed) = claimed.into_iter().next() else {
            // Nor is there anything for anybody else.
            self.seats.iter_mut().for_each(|seat| seat.rests = true);
            return;
        };
        let what = format!("{} {}", claimed.kind, watch::about(self, &claimed.subject));
        self.story.tell(format!("{} takes job {}: {what}", host.name, claimed.id));
        let (env, job) = (host.env.clone(), Some((claimed.id, claimed.kind.clone())));
        let task = async move { format!("{:?}", jobs::run_claimed(&env, claimed).await) };
        let process = Process::begin(host, Box::pin(task));
        self.seats[seat].at = Some(At { process, what, job, locked: false });
    }

    async fn step(&mut self, seat: usize) {
        let host = self.seats[seat].host;
        self.let_request_pass(host).await;
        let statements = if self.rough {
            self.dice.weighted(&[(5, 1_000), (1, 1), (1, 2), (1, 4), (1, 8)])
        } else {
            1_000
        };
        let Some(at) = &mut self.seats[seat].at else { return };
        let others = others(self.bench);
        let stand = at.process.advance(statements, &others).await;
        at.locked = stand == Stand::Locked;
        match stand {
            Stand::Between => {}
            Stand::Locked => self.story.tell(format!("{} waits for a lock", self.bench.hosts[host].name)),
            Stand::AtGate => self.wake_all(),
            Stand::Done(end) => {
                let line = format!("{} ends {}: {end}", self.bench.hosts[host].name, at.what);
                if end.starts_with(BROKEN) {
                    self.broken.push(line.clone());
                }
                self.story.tell(line);
                self.seats[seat].at = None;
                self.wake_all();
            }
        }
        self.look_after_the_locked().await;
    }

    /// Whoever was let in by what has just happened goes on before anybody else moves.
    pub(crate) async fn look_after_the_locked(&mut self) {
        for seat in &mut self.seats {
            if let Some(at) = seat.at.as_mut().filter(|at| at.locked) {
                at.locked = at.process.waits_for_a_lock(&others(self.bench)).await;
            }
        }
    }

    async fn let_request_pass(&mut self, host: usize) {
        let Some(asked) = self.bench.hosts[host].gate.asked() else { return };
        let Some(held) = self.bench.hosts[host].gate.take() else { return };
        watch::request(self, &asked).await;
        let mut fault = None;
        if self.is_away || self.rough && self.dice.percent(30.0) {
            let effect = faults::draw(asked.operation, self.is_away, &mut self.dice);
            self.bench.sandbox.fault(sandbox::Fault::next(asked.operation, effect.clone())).unwrap();
            fault = Some(effect);
        }
        let said = held.pass().await;
        self.bench.sandbox.clear_faults();
        let name = watch::order(self, &asked.name);
        let why = fault.map(|effect| format!(" ({effect:?})")).unwrap_or_default();
        let host = &self.bench.hosts[host].name;
        self.story.tell(format!("{host} asks to {:?} {name}: {said}{why}", asked.operation));
    }
}
