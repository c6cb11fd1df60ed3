//! Somebody with the database's password writes what must not be, at any moment, and asks no program: the schema refuses.
//! Where a fence was taken down (`WITHOUT`), the row stays, and life goes on with it.

mod payments;
mod periods;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    life::{Broken, Life},
    watch,
};

/// Something wrong, and to whom it can be done.
#[derive(Clone, Copy)]
struct Deed {
    what: &'static str,
    /// Rows with their subscription, and their order in it.
    victims: &'static str,
    /// Knows the row's id as `given.victim`, the time as `given.now`, and some `given.number`.
    wrong: &'static str,
}

/// Not everything can be done at every moment.
const TEMPTATIONS: usize = 5;
/// A process that stands still meanwhile may hold the lock.
const NO_WAITING: &str = "set local lock_timeout = '50ms'";
const LOCK_NOT_AVAILABLE: &str = "55P03";

impl Life<'_> {
    pub(crate) async fn somebody_is_rash(&mut self) {
        for _ in 0..TEMPTATIONS {
            let deed = self.dice.pick(&[&payments::DEEDS[..], &periods::DEEDS[..]].concat());
            let victims = sqlx::query_as(deed.victims).fetch_all(self.bench.desk());
            let mut victims: Vec<(Uuid, Uuid, i32)> = victims.await.unwrap();
            let position = |id| self.customers.iter().position(|one| one.subscription_id == id);
            victims.sort_by_key(|(_, whose, nth)| (position(*whose), *nth));
            if !victims.is_empty() {
                let (victim, whose, _) = self.dice.pick(&victims);
                return self.do_it(deed, victim, whose).await;
            }
        }
    }

    async fn do_it(&mut self, deed: Deed, victim: Uuid, whose: Uuid) {
        let number = self.dice.between(1_000, 999_999);
        let said = match self.write(deed, victim, i32::try_from(number).unwrap()).await {
            Ok(0) => "there is nothing to write".to_owned(),
            Ok(_) => {
                self.taken.push(deed.what);
                "it is taken".to_owned()
            }
            Err(why) => why,
        };
        self.story.tell(format!("by hand, for {}: {}: {said}", watch::customer(self, whose), deed.what));
        self.wake_all();
    }

    /// How many rows were written, or what refused them.
    async fn write(&self, deed: Deed, victim: Uuid, number: i32) -> Result<u64, String> {
        let given = "with given (victim, now, number) as (values ($1::uuid, $2::timestamptz, $3::integer))";
        let sql = AssertSqlSafe(format!("{given} {}", deed.wrong));
        let mut tx = self.bench.desk().begin().await.unwrap();
        sqlx::query(NO_WAITING).execute(&mut *tx).await.unwrap();
        let wrong = sqlx::query(sql).bind(victim).bind(self.bench.now()).bind(number);
        let written = wrong.execute(&mut *tx).await.map_err(|error| refusal(&error))?.rows_affected();
        // Some refusals come with the commit.
        tx.commit().await.map_err(|error| refusal(&error))?;
        Ok(written)
    }
}

fn refusal(error: &sqlx::Error) -> String {
    let refused = error.as_database_error().expect("the database refuses it");
    match (refused.constraint(), refused.code().as_deref()) {
        (Some(fence), _) => format!("{fence} refuses"),
        (None, Some(LOCK_NOT_AVAILABLE)) => "it is locked".to_owned(),
        (None, _) => panic!("{error}"),
    }
}

/// The last check: whether or not anything came of it.
pub(crate) fn nothing_was_taken(life: &Life<'_>) -> Vec<Broken> {
    life.taken.iter().map(|what| format!("schema: it has taken {what}")).collect()
}
