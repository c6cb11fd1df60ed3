//! One seed: people subscribe, months pass, everything fails that can, then calm returns and the promises are checked.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use common::domain::calendar::{seoul_date, seoul_instant};

use crate::{
    bench::Bench, checks, customers::Customer, dice::Dice, gate::Held, imports::File, post::Post,
    settle::Seat, story::Story, watch,
};

/// What broke a promise.
pub(crate) type Broken = String;

pub(crate) struct Life<'a> {
    pub(crate) bench: &'a mut Bench,
    pub(crate) dice: Dice,
    pub(crate) story: Story,
    pub(crate) customers: Vec<Customer>,
    /// What other systems left, and how many were in it.
    pub(crate) files: Vec<File>,
    pub(crate) brought: usize,
    pub(crate) post: Post,
    /// Won that people wanted back of each order, at most.
    pub(crate) wished: BTreeMap<String, i64>,
    pub(crate) seats: Vec<Seat>,
    /// Requests of dead processes that are still on their way.
    pub(crate) adrift: Vec<Held>,
    /// Faults, deaths and people's whims; off once calm has returned.
    pub(crate) rough: bool,
    /// Every call to the gateway fails.
    pub(crate) is_away: bool,
    /// Of which date the scheduler has made the jobs.
    pub(crate) scheduled: Option<NaiveDate>,
    /// When rows of the job table were deleted last, until a sweep has come late enough to see it.
    pub(crate) lost_jobs_at: Option<DateTime<Utc>>,
    pub(crate) mail_deaths: usize,
    /// What the schema should have refused.
    pub(crate) taken: Vec<&'static str>,
    pub(crate) broken: Vec<Broken>,
}

/// Runs one seed; answers what it broke.
pub(crate) async fn live(bench: &mut Bench, seed: u64, story: &Story) -> Vec<Broken> {
    bench.clean().await;
    let mut dice = Dice::of(seed);
    let workers = usize::try_from(dice.between(2, 4)).unwrap();
    let seats = Seat::all(bench, workers);
    let mut life = Life {
        bench,
        dice,
        story: story.clone(),
        customers: Vec::new(),
        files: Vec::new(),
        brought: 0,
        post: Post::default(),
        wished: BTreeMap::new(),
        seats,
        adrift: Vec::new(),
        rough: true,
        is_away: false,
        scheduled: None,
        lost_jobs_at: None,
        mail_deaths: 0,
        taken: Vec::new(),
        broken: Vec::new(),
    };
    life.rough_years().await;
    if life.broken.is_empty() {
        life.calm_days().await;
    }
    if life.broken.is_empty() {
        life.broken = checks::all(&life).await;
    }
    life.broken
}

impl Life<'_> {
    async fn rough_years(&mut self) {
        self.choose_a_gateway();
        let begin = "2026-11-22".parse().unwrap();
        let begin = seoul_instant(begin, NaiveTime::from_hms_opt(10, 0, 0).unwrap());
        let begin = begin + TimeDelta::days(self.dice.between(0, 400));
        let months = self.dice.weighted(&[(8, 1), (10, 2), (8, 3), (4, 6), (2, 12), (1, 24)]);
        let end = begin + TimeDelta::days(31 * months);
        self.bench.set_clock(begin, &self.story);
        let people = if months > 6 { 2 } else { self.dice.between(2, 4) };
        self.story.tell(format!("{} workers, {people} customers, {months} months", self.workers()));
        for _ in 0..people {
            self.sign_up().await;
            self.turn_by(TimeDelta::seconds(1)).await;
        }
        if self.dice.percent(20.0) {
            self.bring_some_over().await;
        }
        // Who never begins has no story.
        self.rough = self.dice.percent(40.0);
        self.settle().await;
        self.rough = true;
        while self.bench.now() < end && self.broken.is_empty() {
            self.settle().await;
            watch::after_settling(self).await;
            if !self.broken.is_empty() {
                // Somebody may stand still with a lock in hand.
                return;
            }
            self.whims().await;
            while self.dice.percent(45.0) {
                self.begin_a_wish().await;
            }
            let to = self.next_moment(end).await;
            self.turn_to(to).await;
        }
    }

    /// Toss answers, cards pay, operators help: everything unfinished has three days to end; a refund whose key the gateway
    /// has bound to a 500 has as long as that key lives, and so have the refunds beside it that nobody can tell from it.
    async fn calm_days(&mut self) {
        self.rough = false;
        self.story.tell("calm");
        self.calm_down().await;
        // What has lost its job is found after two minutes.
        let mut next = self.bench.now() + TimeDelta::minutes(3);
        let mut end = self.bench.now() + TimeDelta::hours(73);
        let mut was_in_doubt = false;
        while self.broken.is_empty() {
            self.all_events_arrive().await;
            self.help_parked_jobs().await;
            self.decide_held_periods().await;
            self.settle().await;
            watch::after_settling(self).await;
            if self.bench.now() >= end {
                let is_in_doubt = self.a_refund_is_in_doubt().await;
                if !is_in_doubt && !was_in_doubt {
                    return;
                }
                // What it kept from being booked is found by the next comparison of the books.
                was_in_doubt = is_in_doubt;
                end += TimeDelta::hours(25);
                next = self.next_job(end).await;
            }
            self.turn_to(next).await;
            next = self.next_job(end).await;
        }
    }

    /// At the latest when the key that it went out under is over, after 15 days.
    async fn a_refund_is_in_doubt(&self) -> bool {
        let doubtful = "select exists (select from refunds where status = 'unknown' and first_sent_at > $1)";
        sqlx::query_scalar(doubtful)
            .bind(self.bench.now() - TimeDelta::days(15))
            .fetch_one(self.bench.desk())
            .await
            .unwrap()
    }

    /// The next moment at which a job, or the daily run, is due.
    async fn next_job(&mut self, end: DateTime<Utc>) -> DateTime<Utc> {
        let now = self.bench.now();
        let job: Option<DateTime<Utc>> =
            sqlx::query_scalar("select min(run_at) from jobs where state = 'available' and run_at > $1")
                .bind(now)
                .fetch_one(self.bench.desk())
                .await
                .unwrap();
        let run = seoul_instant(seoul_date(now), NaiveTime::from_hms_opt(2, 0, 1).unwrap());
        let run = if run > now { run } else { run + TimeDelta::days(1) };
        job.map_or(run, |job| job.max(now + TimeDelta::seconds(90)).min(run)).min(end)
    }

    pub(crate) async fn turn_by(&mut self, by: TimeDelta) {
        let to = self.bench.now() + by;
        self.turn_to(to).await;
    }

    /// No request stays on its way while the clock jumps.
    pub(crate) async fn turn_to(&mut self, to: DateTime<Utc>) {
        self.land_what_is_adrift().await;
        self.bench.set_clock(to, &self.story);
    }

    /// Mostly to where something is due; sometimes anywhere; now and then after a long time in which nothing ran.
    async fn next_moment(&mut self, end: DateTime<Utc>) -> DateTime<Utc> {
        let now = self.bench.now();
        let (unfinished, due) = self.agenda().await;
        if unfinished && self.dice.percent(60.0) {
            return now + TimeDelta::seconds(self.dice.between(20, 1_200));
        }
        let jump = self.dice.weighted(&[(60, 'd'), (20, 'h'), (12, 'n'), (6, 'w'), (2, 'o')]);
        let to = match jump {
            'd' => due.unwrap_or(end) + TimeDelta::seconds(self.dice.between(7_201, 30_000)),
            'h' => now + TimeDelta::minutes(self.dice.between(30, 2_000)),
            'n' => now + TimeDelta::hours(self.dice.between(24, 240)),
            'w' => now + TimeDelta::days(self.dice.between(7, 21)),
            _ => now + TimeDelta::days(40),
        };
        to.max(now + TimeDelta::seconds(20))
    }

    /// Whether an attempt is unfinished, and the next day on which the system should do something.
    async fn agenda(&mut self) -> (bool, Option<DateTime<Utc>>) {
        sqlx::query_as(
            "select exists (select from payments where status in ('pending', 'unknown') and review_since is null),
                    (select min(at) from (
                        select next_billing_date - interval '3 days' from subscriptions where status = 'active'
                        union all select next_billing_date from subscriptions where status in ('active', 'past_due')
                        union all select next_attempt_at from invoices where status = 'open'
                        union all select repair_until - interval '12 hours' from subscriptions where status = 'incomplete'
                        union all select (effective_on - 1)::timestamp at time zone 'Asia/Seoul'
                          from plan_changes where status = 'pending') as dates (at)
                      where at > $1)",
        )
        .bind(self.bench.now())
        .fetch_one(self.bench.desk())
        .await
        .unwrap()
    }
}
