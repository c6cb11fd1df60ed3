//! Who gives a command: the name in every entry it leaves behind.

/// `operator:<name>`: the name given with `--as`, else that of the operating system's user.
pub fn actor(given: Option<&str>, from_env: impl Fn(&str) -> Option<String>) -> String {
    let named = given.map(str::to_owned).or_else(|| from_env("USER")).or_else(|| from_env("LOGNAME"));
    let name = named.filter(|name| !name.trim().is_empty());
    // A container has no login, so no name either.
    let name = name.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    format!("operator:{}", name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_name_comes_before_the_users_and_nobody_is_nameless() {
        let user = |name: &str| (name == "USER").then(|| "kim".to_owned());
        assert_eq!(actor(Some("lee@example.com"), user), "operator:lee@example.com");
        assert_eq!(actor(None, user), "operator:kim");
        assert!(actor(None, |_| None).starts_with("operator:uid-"));
    }
}
