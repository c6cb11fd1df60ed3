//! Every program explains itself, and names everything that is wrong with its variables at once.

use crate::program::Program;

/// Runs it to its end; answers its exit code and all that it wrote.
async fn run(program: Program) -> (Option<i32>, String) {
    let output = program.run().await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn every_program_explains_itself() {
    for name in ["billing-api", "billing-worker", "billing", "toss-sandbox"] {
        let (code, text) = run(Program::named(name).arg("--help")).await;
        assert_eq!(code, Some(0), "{name}");
        assert!(text.contains(&format!("Usage: {name}")), "{name}: {text}");
    }
}

#[tokio::test]
async fn without_variables_every_program_lists_them_and_exits_2() {
    let api = ["DATABASE_URL", "CRON_SECRET", "AUTH_JWT_SECRET"].as_slice();
    let worker = ["DATABASE_URL", "TOSS_SECRET_KEY", "BILLING_KEY_ENCRYPTION_KEYS", "MAIL_URL"].as_slice();
    let needs = [
        (Program::named("billing-api"), api),
        (Program::named("billing-worker"), worker),
        (Program::named("billing").arg("migrate"), ["DATABASE_URL"].as_slice()),
    ];
    for (program, names) in needs {
        let (code, text) = run(program).await;
        assert_eq!(code, Some(2), "{text}");
        for name in names {
            assert!(text.contains(name), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn a_wrong_database_and_filter_are_listed_by_every_program() {
    for name in ["billing-api", "billing-worker"] {
        let wrong = Program::named(name).var("DATABASE_URL", "mysql://x/y").var("RUST_LOG", "sqlx=shout");
        let (code, text) = run(wrong).await;
        assert_eq!(code, Some(2), "{text}");
        for line in ["DATABASE_URL is wrong", "RUST_LOG is wrong"] {
            assert!(text.contains(line), "{name}: {text}");
        }
    }
    let (code, text) = run(Program::named("billing").arg("migrate").var("DATABASE_URL", "nonsense")).await;
    assert!(code == Some(2) && text.contains("DATABASE_URL is wrong"), "{text}");
}

/// The sandbox needs no variable, so it is given wrong ones.
#[tokio::test]
async fn the_sandbox_lists_everything_that_is_wrong_and_exits_2() {
    let wrong = Program::named("toss-sandbox")
        .var("SANDBOX_ADDR", "here")
        .var("SANDBOX_SECRET_KEYS", "live_sk_x")
        .var("LOG_FORMAT", "xml");
    let (code, text) = run(wrong).await;
    assert_eq!(code, Some(2));
    for name in ["SANDBOX_ADDR", "SANDBOX_SECRET_KEYS", "LOG_FORMAT"] {
        assert!(text.contains(name), "{name}: {text}");
    }
}
