//! Everything that is due runs, in an order that the dice choose, message by message; processes die in the middle of it.

use std::time::Duration;

use chrono::TimeDelta;
use worker::{scheduler, step, sweep};

use crate::{
    bench::Bench,
    faults,
    life::Life,
    process::{Process, Stand},
    watch,
};

/// Longer than any seed takes: leases end here when the simulation says so.
const LEASE: Duration = Duration::from_hours(1);
/// As in production: `queue::QueueConfig`.
const MAX_CRASHES: i32 = 3;
const MOVES: usize = 5_000;

/// Where a process sits, and what it is at.
pub(crate) struct Seat {
    host: usize,
    at: Option<At>,
    /// Found nothing to do, and nothing has happened since.
    rests: bool,
}

struct At {
    process: Process,
    what: String,
    job: Option<(i64, String)>,
    locked: bool,
}

impl Seat {
    /// So many workers, and the API as the last.
    pub(crate) fn all(bench: &Bench, workers: usize) -> Vec<Self> {
        let hosts = (0..workers).chain([bench.hosts.len() - 1]);
        hosts.map(|host| Self { host, at: None, rests: false }).collect()
    }
}

impl Life<'_> {
    pub(crate) async fn settle(&mut self) {
        let env = &self.bench.hosts[0].env;
        scheduler::catch_up(env, &self.bench.schedule).await.unwrap();
        let swept = sweep::sweep(env).await.unwrap();
        if swept > 0 {
            self.story.tell(format!("the sweep makes {swept} jobs"));
        }
        self.wake_all();
        for _ in 0..MOVES {
            if !self.broken.is_empty() || !self.one_move().await {
                self.land_what_is_adrift().await;
                return;
            }
        }
        self.broken.push("jobs make jobs without end".to_owned());
    }

    fn wake_all(&mut self) {
        for seat in &mut self.seats {
            seat.rests = false;
            if let Some(at) = &mut seat.at {
                at.locked = false;
            }
        }
    }

    /// False: nobody has anything to do.
    async fn one_move(&mut self) -> bool {
        if self.rough {
            self.trouble().await;
        }
        let workers = self.seats.len() - 1;
        let can = |locked: bool| -> Vec<usize> {
            let able = |(number, seat): (usize, &Seat)| match &seat.at {
                Some(at) => (locked || !at.locked).then_some(number),
                None => (number < workers && !seat.rests).then_some(number),
            };
            self.seats.iter().enumerate().filter_map(able).collect()
        };
        let able = Some(can(false)).filter(|able| !able.is_empty()).unwrap_or_else(|| can(true));
        if able.is_empty() {
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
        let claimed =
            queue::claim(&host.pool, &common::jobs::KINDS, 1, LEASE, &host.name, now).await.unwrap();
        let Some(claimed) = claimed.into_iter().next() else {
            self.seats[seat].rests = true;
            return;
        };
        let what = format!("{} {}", claimed.kind, watch::about(self, &claimed.subject));
        self.story.tell(format!("{} takes job {}: {what}", host.name, claimed.id));
        let (env, job) = (host.env.clone(), Some((claimed.id, claimed.kind.clone())));
        let task = async move { format!("{:?}", step::run_claimed(&env, claimed).await) };
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
        let stand = at.process.advance(statements, &self.bench.database.desk).await;
        at.locked = stand == Stand::Locked;
        match stand {
            Stand::Between => {}
            Stand::Locked => self.story.tell(format!("{} waits for a lock", self.bench.hosts[host].name)),
            Stand::AtGate => self.wake_all(),
            Stand::Done(end) => {
                let line = format!("{} ends {}: {end}", self.bench.hosts[host].name, at.what);
                self.story.tell(line);
                self.seats[seat].at = None;
                self.wake_all();
            }
        }
    }

    async fn let_request_pass(&mut self, host: usize) {
        let Some(asked) = self.bench.hosts[host].gate.asked() else { return };
        let Some(held) = self.bench.hosts[host].gate.take() else { return };
        watch::request(self, &asked).await;
        let mut fault = None;
        if self.rough && self.dice.percent(30.0) {
            let effect = faults::draw(asked.operation, &mut self.dice);
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

    /// What processes, networks, clocks and people do at the worst moment.
    async fn trouble(&mut self) {
        match self.dice.between(0, 999) {
            0..30 => self.somebody_dies().await,
            30..40 => self.somebody_loses_the_lease().await,
            40..46 => {
                let jump = self.dice.between(1, 90);
                self.turn_by(TimeDelta::minutes(jump)).await;
                self.wake_all();
            }
            46..50 => self.delete_jobs().await,
            50..54 => self.begin_a_cancel(),
            54..80 => self.land_what_is_adrift().await,
            _ => {}
        }
    }

    fn begin_a_cancel(&mut self) {
        let seat = self.seats.len() - 1;
        if self.seats[seat].at.is_some() {
            return;
        }
        let host = self.seats[seat].host;
        let env = self.bench.hosts[host].env.clone();
        let (what, task) = self.somebody_cancels(&env);
        self.story.tell(&what);
        let process = Process::begin(&self.bench.hosts[host], task);
        self.seats[seat].at = Some(At { process, what, job: None, locked: false });
    }

    fn somebody_at_work(&mut self) -> Option<usize> {
        let busy = |(number, seat): (usize, &Seat)| {
            seat.at.as_ref().filter(|at| at.process.can_die()).map(|_| number)
        };
        let busy: Vec<usize> = self.seats.iter().enumerate().filter_map(busy).collect();
        (!busy.is_empty()).then(|| self.dice.pick(&busy))
    }

    /// The process is gone between two messages; what it had sent to the gateway may arrive all the same, or later.
    async fn somebody_dies(&mut self) {
        let Some(seat) = self.somebody_at_work() else { return };
        let Some(At { process, what, job, .. }) = self.seats[seat].at.take() else { return };
        let (arrives, last) = (self.dice.percent(50.0), crate::marks::last());
        let request = process.die(arrives).await;
        let where_ = match (&request, arrives) {
            (Some(_), _) => "with a request on its way".to_owned(),
            (None, true) => format!("its next statement arrives; last {last:?}"),
            (None, false) => format!("its next statement does not arrive; last {last:?}"),
        };
        let name = &self.bench.hosts[self.seats[seat].host].name;
        self.story.tell(format!("{name} dies in {what}, {where_}"));
        if let Some(request) = request.filter(|_| self.dice.percent(60.0)) {
            self.adrift.push(request);
        }
        if let Some((id, kind)) = job {
            self.mail_deaths += usize::from(kind == "send-email");
            self.expire(id).await;
        }
    }

    /// A worker that is only slow is taken for dead: its job runs twice at once.
    async fn somebody_loses_the_lease(&mut self) {
        let Some(seat) = self.somebody_at_work() else { return };
        let Some((id, kind)) = self.seats[seat].at.as_ref().and_then(|at| at.job.clone()) else { return };
        let name = &self.bench.hosts[self.seats[seat].host].name;
        self.story.tell(format!("{name} is taken for dead while it runs job {id}"));
        self.mail_deaths += usize::from(kind == "send-email");
        self.expire(id).await;
    }

    async fn expire(&mut self, job: i64) {
        sqlx::query(
            "update jobs set lease_until = clock_timestamp() - interval '1 second'
              where id = (select id from jobs where id = $1 and state = 'running' for update skip locked)",
        )
        .bind(job)
        .execute(self.bench.desk())
        .await
        .unwrap();
        queue::rescue(self.bench.desk(), Duration::from_millis(1), MAX_CRASHES).await.unwrap();
        self.wake_all();
    }

    pub(crate) async fn land_what_is_adrift(&mut self) {
        for held in std::mem::take(&mut self.adrift) {
            let asked = held.asked.clone();
            let said = held.pass().await;
            let name = watch::order(self, &asked.name);
            self.story.tell(format!("a dead process's {:?} of {name} arrives: {said}", asked.operation));
        }
    }
}
