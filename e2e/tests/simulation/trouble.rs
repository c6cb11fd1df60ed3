//! What goes wrong while jobs run: deaths, lost leases, jumps of the clock, deleted rows, and people at the worst moment.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    life::Life,
    settle::{At, Seat},
    watch,
};

/// As in production: `queue::QueueConfig`.
const MAX_CRASHES: i32 = 3;

impl Life<'_> {
    /// What processes, networks, clocks and people do at the worst moment.
    pub(crate) async fn trouble(&mut self) {
        match self.dice.between(0, 999) {
            0..30 => self.somebody_dies().await,
            30..40 => self.somebody_loses_the_lease().await,
            40..46 => {
                let jump = self.dice.between(1, 90);
                self.turn_by(TimeDelta::minutes(jump)).await;
                self.wake_all();
            }
            46..50 => self.delete_jobs().await,
            50..95 => self.begin_a_wish().await,
            95..97 => self.a_refund_in_the_dashboard(),
            97..123 => self.land_what_is_adrift().await,
            123..138 => self.somebody_is_rash().await,
            _ => {}
        }
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
        let (arrives, last) = (self.dice.percent(50.0), process.last().to_owned());
        let request = process.die(arrives).await;
        self.bench.revive(self.seats[seat].host);
        self.look_after_the_locked().await;
        let where_ = match (&request, arrives) {
            (Some(_), _) => "with a request on its way".to_owned(),
            (None, true) => format!("its commit, if it is that, arrives; last {last:?}"),
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
