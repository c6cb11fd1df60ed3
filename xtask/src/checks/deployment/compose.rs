//! `docker-compose.yml`: the services, and what each is given.

use serde_json::{Map, Value};

use super::variables::CONTRACT;

const MAIL_CATCHER: &str = "axllent/mailpit";

/// Our own programs, by service.
const OURS: [&str; 4] = ["migrate", "api", "worker", "sandbox"];

/// What the API must run without.
const NOT_FOR_THE_API: [&str; 3] = ["TOSS_", "MAIL_", "BILLING_KEY_"];

/// Above the 80 s in which a worker finishes what is in hand, and its last writes: Docker kills after this.
const WORKER_GRACE_SECS: u64 = 90;

/// `installed`: the programs in the image.
pub(super) fn findings(compose: &Value, installed: &[String]) -> Vec<String> {
    let Some(services) = compose.get("services").and_then(Value::as_object) else {
        return vec!["docker-compose.yml: no services".to_owned()];
    };
    let ours = OURS.iter().flat_map(|name| own_service(name, services.get(*name), installed));
    let all = ours.chain(surroundings(services)).chain(order(services)).chain(grace(services));
    all.map(|finding| format!("docker-compose.yml: {finding}")).collect()
}

fn own_service(name: &str, service: Option<&Value>, installed: &[String]) -> Vec<String> {
    let Some(service) = service else { return vec![format!("no service {name}")] };
    let mut findings = Vec::new();
    let program = match service.get("command") {
        Some(Value::Array(words)) => words.first().and_then(Value::as_str),
        Some(Value::String(line)) => line.split_whitespace().next(),
        _ => None,
    };
    match program {
        None => findings.push(format!("{name} has no command")),
        Some(program) if !installed.iter().any(|one| one == program) => {
            findings.push(format!("{name} runs {program}, which the image does not have"));
        }
        Some(_) => {}
    }
    let Some(environment) = service.get("environment").and_then(Value::as_object) else {
        findings.push(format!("{name} has no environment (write it as NAME: value)"));
        return findings;
    };
    for variable in environment.keys() {
        if !CONTRACT.contains(&variable.as_str()) {
            findings.push(format!("{name}: {variable} is not a variable of the contract"));
        }
        if name == "api" && NOT_FOR_THE_API.iter().any(|prefix| variable.starts_with(prefix)) {
            findings.push(format!("api must run without {variable}"));
        }
    }
    findings
}

fn surroundings(services: &Map<String, Value>) -> Vec<String> {
    let mut findings = Vec::new();
    if services.get("postgres").and_then(|service| service.get("healthcheck")).is_none() {
        findings.push("no service postgres with a healthcheck".to_owned());
    }
    let image = |service: &Value| service.get("image").and_then(Value::as_str).map(str::to_owned);
    if !services.values().filter_map(image).any(|image| image.starts_with(MAIL_CATCHER)) {
        findings.push(format!("no service that catches e-mail ({MAIL_CATCHER})"));
    }
    findings
}

/// Nothing may start on a schema that is not there yet.
fn order(services: &Map<String, Value>) -> Vec<String> {
    let waits = |name: &str| {
        let after = services.get(name)?.get("depends_on")?.get("migrate")?.get("condition")?;
        Some(after == "service_completed_successfully")
    };
    let early = ["api", "worker"].into_iter().filter(|name| waits(name) != Some(true));
    early.map(|name| format!("{name} must wait for migrate (service_completed_successfully)")).collect()
}

fn grace(services: &Map<String, Value>) -> Option<String> {
    let given = services.get("worker")?.get("stop_grace_period").and_then(Value::as_str);
    let seconds = given.and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse::<u64>().ok());
    let enough = seconds.is_some_and(|seconds| seconds >= WORKER_GRACE_SECS);
    (!enough).then(|| {
        format!("worker needs stop_grace_period: at least {WORKER_GRACE_SECS}s, to finish a call to Toss")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        let after = json!({ "migrate": { "condition": "service_completed_successfully" } });
        json!({ "services": {
            "postgres": { "image": "postgres:17", "healthcheck": {} },
            "mail": { "image": "axllent/mailpit:v1.26" },
            "migrate": { "command": ["billing", "migrate"], "environment": { "DATABASE_URL": "" } },
            "sandbox": { "command": ["toss-sandbox"], "environment": {} },
            "api": { "command": "billing-api", "environment": { "CRON_SECRET": "" }, "depends_on": after },
            "worker": {
                "command": ["billing-worker"], "environment": { "TOSS_SECRET_KEY": "" },
                "depends_on": after, "stop_grace_period": "90s",
            },
        } })
    }

    fn found(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut compose = good();
        change(&mut compose["services"]);
        let installed = ["billing", "billing-api", "billing-worker", "toss-sandbox"].map(str::to_owned);
        findings(&compose, &installed)
    }

    #[test]
    fn a_good_file_has_no_findings() {
        assert_eq!(found(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn an_api_that_is_given_a_key_or_a_mail_server_is_found() {
        for name in ["TOSS_SECRET_KEY", "BILLING_KEY_ENCRYPTION_KEYS", "MAIL_URL"] {
            assert_eq!(found(|all| all["api"]["environment"][name] = json!("")).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_variable_outside_the_contract_is_found() {
        assert_eq!(found(|all| all["worker"]["environment"]["TOSS_KEY"] = json!("")).len(), 1);
    }

    #[test]
    fn a_program_that_the_image_does_not_have_is_found() {
        assert_eq!(found(|all| all["api"]["command"] = json!(["billing-apy"])).len(), 1);
    }

    #[test]
    fn a_missing_service_is_found() {
        for name in ["postgres", "mail", "sandbox"] {
            let found = found(|all| drop(all.as_object_mut().unwrap().remove(name)));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
        }
    }

    #[test]
    fn a_process_that_does_not_wait_for_the_schema_is_found() {
        assert_eq!(found(|all| all["api"]["depends_on"] = json!({})).len(), 1);
    }

    #[test]
    fn a_grace_period_shorter_than_a_toss_call_is_found() {
        assert_eq!(found(|all| all["worker"]["stop_grace_period"] = json!("10s")).len(), 1);
    }
}
