//! Plans: what is listed, made, changed and refused.

use common::domain::money::Won;
use ops::plans::{self, PlanChange};
use sqlx::PgPool;

use crate::seed::{author, start};

fn won(amount: i64) -> Won {
    Won::new(amount).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn the_two_plans_are_there_from_the_start(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let listed = plans::list(&mut conn).await.unwrap();
    insta::assert_snapshot!(listed, @r"
    CODE      NAME    MONTHLY   YEARLY
    personal  퍼스널  9,900원   94,800원
    pro       프로    19,900원  190,800원
    ");
    insta::assert_json_snapshot!(listed.0[0], @r#"
    {
      "code": "personal",
      "name": "퍼스널",
      "monthly": 9900,
      "yearly": 94800
    }
    "#);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_leaves_what_is_not_given_and_a_plan_needs_all(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let change = PlanChange { monthly: Some(won(21_900)), ..PlanChange::default() };
    let changed = plans::set(&mut conn, "pro", change.clone(), &author("kim", start())).await.unwrap();
    assert_eq!(changed.to_string(), "plan pro (프로): 21,900원 monthly, 190,800원 yearly\n");

    let refused = plans::set(&mut conn, "team", change, &author("kim", start())).await.unwrap_err();
    assert!(refused.to_string().contains("--name"), "{refused}");
    let whole = PlanChange {
        name: Some("팀".into()),
        monthly: Some(won(49_900)),
        yearly: Some(won(478_800)),
        held_beside_others: None,
    };
    assert!(plans::set(&mut conn, "team", whole, &author("kim", start())).await.unwrap().is_new);
    assert_eq!(plans::list(&mut conn).await.unwrap().0.len(), 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_price_that_toss_would_refuse_never_becomes_a_plans(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let change = PlanChange { yearly: Some(won(99)), ..PlanChange::default() };
    assert_eq!(
        plans::set(&mut conn, "pro", change, &author("kim", start())).await.unwrap_err().exit_code(),
        2
    );
    let code =
        plans::set(&mut conn, "Pro Plan", PlanChange::default(), &author("kim", start())).await.unwrap_err();
    assert_eq!(code.exit_code(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_plan_may_be_held_beside_others_until_it_is_set_back(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let beside = |held| PlanChange { held_beside_others: Some(held), ..PlanChange::default() };
    let set = plans::set(&mut conn, "pro", beside(true), &author("kim", start())).await.unwrap();
    assert!(set.to_string().ends_with("190,800원 yearly, may be held beside others\n"), "{set}");
    let price = PlanChange { monthly: Some(won(21_900)), ..PlanChange::default() };
    assert!(
        plans::set(&mut conn, "pro", price, &author("kim", start())).await.unwrap().plan.held_beside_others,
        "kept"
    );
    assert!(plans::list(&mut conn).await.unwrap().to_string().contains("프로 (beside others)"));
    assert!(
        !plans::set(&mut conn, "pro", beside(false), &author("kim", start()))
            .await
            .unwrap()
            .plan
            .held_beside_others
    );
}
