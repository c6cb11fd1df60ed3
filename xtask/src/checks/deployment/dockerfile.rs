//! The Dockerfile: several stages, no root, all binaries, the workspace's compiler.

/// Where the last stage keeps our programs.
const BIN: &str = "/usr/local/bin/";

/// The stage's instructions, one a line, continued lines joined.
struct Stage {
    from: String,
    instructions: Vec<String>,
}

pub(super) fn findings(text: &str, binaries: &[&str], rust: &str) -> Vec<String> {
    let stages = stages(text);
    let mut findings = Vec::new();
    let [build, .., run] = stages.as_slice() else {
        return vec![
            "Dockerfile: the compiler must not be in the image that runs: use two stages".to_owned(),
        ];
    };
    if !build.from.starts_with(&format!("rust:{rust}")) {
        findings.push(format!("Dockerfile: builds with {}, the workspace with Rust {rust}", build.from));
    }
    if !build.instructions.iter().any(|line| line.starts_with("ENV") && line.contains("SQLX_OFFLINE=true")) {
        findings.push(
            "Dockerfile: SQLX_OFFLINE=true is missing; there is no database during the build".to_owned(),
        );
    }
    let user = run.instructions.iter().rev().find_map(|line| line.strip_prefix("USER "));
    if user.is_none_or(|user| matches!(user.split(':').next(), Some("root" | "0"))) {
        findings.push("Dockerfile: the programs must not run as root".to_owned());
    }
    let installed = installed_binaries(text);
    for name in installed.iter().filter(|name| !binaries.contains(&name.as_str())) {
        findings.push(format!("Dockerfile: no crate has a binary {name}"));
    }
    for name in binaries.iter().filter(|name| **name != "xtask" && !installed.iter().any(|one| one == *name))
    {
        findings.push(format!("Dockerfile: the binary {name} is not in the image"));
    }
    findings
}

/// The programs that the last stage copies from an earlier one into [`BIN`].
pub(super) fn installed_binaries(text: &str) -> Vec<String> {
    let stages = stages(text);
    let lines = stages.last().map_or(&[][..], |stage| &stage.instructions);
    let copies = lines.iter().filter(|line| line.starts_with("COPY --from=") && line.ends_with(BIN));
    let sources = copies.flat_map(|line| line.split_whitespace().skip(2));
    let names = sources.filter(|source| *source != BIN).filter_map(|source| source.rsplit('/').next());
    names.map(str::to_owned).collect()
}

fn stages(text: &str) -> Vec<Stage> {
    let joined =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let mut stages: Vec<Stage> = Vec::new();
    for line in joined.replace("\\\n", " ").lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(from) = line.strip_prefix("FROM ") {
            stages.push(Stage { from: from.to_owned(), instructions: Vec::new() });
        } else if let Some(stage) = stages.last_mut()
            && !line.is_empty()
        {
            stage.instructions.push(line);
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
        # A comment.\n\
        FROM rust:1.95-bookworm AS build\n\
        ENV SQLX_OFFLINE=true\n\
        FROM debian:bookworm-slim\n\
        COPY --from=build /out/billing \\\n  /out/billing-api /usr/local/bin/\n\
        USER 10001:10001\n";

    fn found(text: &str) -> Vec<String> {
        findings(text, &["billing", "billing-api", "xtask"], "1.95")
    }

    #[test]
    fn a_good_file_has_no_findings() {
        assert_eq!(found(GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_root_user_is_found() {
        assert_eq!(found(&GOOD.replace("10001:10001", "root")).len(), 1);
        assert_eq!(found(&GOOD.replace("USER 10001:10001", "")).len(), 1);
    }

    #[test]
    fn a_binary_that_is_missing_or_that_no_crate_has_is_found() {
        let found = found(&GOOD.replace("/out/billing-api", "/out/billing-apy"));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn another_compiler_or_a_build_that_wants_a_database_is_found() {
        assert_eq!(found(&GOOD.replace("1.95", "1.80")).len(), 1);
        assert_eq!(found(&GOOD.replace("SQLX_OFFLINE=true", "A=b")).len(), 1);
    }

    #[test]
    fn a_single_stage_is_found() {
        assert_eq!(found("FROM rust:1.95\nUSER 10001\n").len(), 1);
    }
}
