//! Settings as written, and what is reported about mistakes in them.

use super::*;

fn load(env: &[(&str, &str)]) -> Result<Config, String> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::load(None, &env).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn nothing_set_means_the_embedded_store() {
    let config = load(&[]).unwrap();
    assert!(matches!(config.storage, Storage::Embedded { secret: None, .. }));
    assert_eq!(config.server.port, 4016);
    assert_eq!(config.socket.port, None);
    assert!(config.host().is_loopback());
}

#[test]
fn the_platforms_variables_mean_real_servers() {
    let config = load(&[
        ("PORT", "0"),
        ("PORT_MESSAGES_USERS", "4003"),
        ("MONGODB_URI", "mongodb://localhost:27017/storybang"),
        ("REDIS_HOST", "localhost"),
        ("REDIS_PORT", "6380"),
        ("JWT_SECRET", "12345"),
        ("OCTAVO__QUEUE__CONCURRENCY", "8"),
    ])
    .unwrap();
    let Storage::Servers { redis, .. } = &config.storage else { panic!("not real servers") };
    assert_eq!((redis.host.as_str(), redis.port), ("localhost", 6380));
    assert_eq!((config.server.port, config.socket.port, config.queue.concurrency), (0, Some(4003), 8));
}

#[test]
fn every_mistake_is_told_with_its_variable_and_no_secret() {
    let error = load(&[
        ("PORT", "99999"),
        ("PORT_MESSAGES_USERS", "many"),
        ("OCTAVO__QUEUE__CONCURRENCY", "0"),
        ("OCTAVO__QUEUE__LEASE_SECONDS", "-1"),
        ("OCTAVO__QUEUE__CONCURENCY", "1"),
        ("OCTAVO__NOTHING", "1"),
        ("OCTAVO__LOG__FORMAT", "xml"),
        ("MONGODB_URI", "mongodb://user:hunter2@localhost"),
    ])
    .unwrap_err();
    for variable in [
        "PORT:",
        "PORT_MESSAGES_USERS:",
        "OCTAVO__QUEUE__CONCURRENCY:",
        "OCTAVO__QUEUE__LEASE_SECONDS:",
        "OCTAVO__QUEUE__CONCURENCY:",
        "OCTAVO__NOTHING:",
        "OCTAVO__LOG__FORMAT:",
        "REDIS_HOST:",
        "JWT_SECRET:",
        "MONGODB_URI:",
    ] {
        assert!(error.contains(&format!("\n  - {variable}")), "{variable} is missing in:\n{error}");
    }
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_misspelt_setting_is_told_what_was_meant() {
    let error = load(&[("OCTAVO__QUEUE__CONCURENCY", "1")]).unwrap_err();
    assert!(
        error
            .contains("OCTAVO__QUEUE__CONCURENCY: no such setting; did you mean OCTAVO__QUEUE__CONCURRENCY?"),
        "{error}"
    );
}

#[test]
fn queues_of_bull_are_all_some_or_none() {
    let queues = |names| load(&[("OCTAVO__BULL__QUEUES", names)]).map(|config| config.bull.queues);
    assert_eq!(queues("*").unwrap().len(), 4);
    assert_eq!(queues("Create_Character, Read_Character").unwrap(), ["Create_Character", "Read_Character"]);
    assert!(queues("none").unwrap().is_empty());
    assert_eq!(queues("").unwrap().len(), 4, "an empty value means: not set");
    assert!(queues("Paint_Character").unwrap_err().contains("there is no queue \"Paint_Character\""));
}

#[test]
fn the_master_is_asked_for_at_sentinels_or_is_at_a_host() {
    let sentinels = ("OCTAVO__REDIS__SENTINELS", "a.example.org:26379, [::1]:26380");
    let with = |more: &[(&str, &str)]| {
        let servers = [("MONGODB_URI", "mongodb://localhost/storybang"), ("JWT_SECRET", "12345"), sentinels];
        load(&[&servers, more].concat())
    };
    let Storage::Servers { redis, .. } = with(&[]).unwrap().storage else { panic!("not real servers") };
    assert_eq!(redis.sentinels.len(), 2);
    assert_eq!((redis.sentinels[1].host.as_str(), redis.sentinels[1].port), ("::1", 26380));
    assert_eq!(redis.master, "mymaster");
    assert!(with(&[("REDIS_HOST", "localhost")]).unwrap_err().contains("leave one of them out"));
    assert!(with(&[("OCTAVO__REDIS__MASTER", " ")]).unwrap_err().contains("OCTAVO__REDIS__MASTER: is empty"));
    let error = load(&[("OCTAVO__REDIS__SENTINEL_PASSWORD", "hunter2")]).unwrap_err();
    assert!(error.contains("OCTAVO__REDIS__SENTINEL_PASSWORD: ") && !error.contains("hunter2"), "{error}");
    let error = load(&[("OCTAVO__REDIS__SENTINELS", "redis://a")]).unwrap_err();
    assert!(error.contains("OCTAVO__REDIS__SENTINELS: \"redis://a\" is not an address"), "{error}");
}

#[test]
fn a_time_limit_that_nothing_can_keep_is_told() {
    let error = load(&[("OCTAVO__REDIS__TIMEOUT_SECONDS", "0"), ("OCTAVO__MONGODB__TIMEOUT_SECONDS", "0")])
        .unwrap_err();
    assert!(error.contains("OCTAVO__REDIS__TIMEOUT_SECONDS: must be at least 1"), "{error}");
    assert!(error.contains("OCTAVO__MONGODB__TIMEOUT_SECONDS: must be at least 1"), "{error}");
    let with_timeout = |seconds| {
        load(&[
            ("MONGODB_URI", "mongodb://localhost/storybang"),
            ("REDIS_HOST", "localhost"),
            ("JWT_SECRET", "12345"),
            ("OCTAVO__REDIS__TIMEOUT_SECONDS", seconds),
            ("OCTAVO__QUEUE__LEASE_SECONDS", "6"),
        ])
    };
    assert!(with_timeout("6").unwrap_err().contains("less than OCTAVO__QUEUE__LEASE_SECONDS"));
    assert!(with_timeout("5").is_ok());
}

#[test]
fn half_of_the_cores_work_unless_it_is_said() {
    let threads = |n| load(&[("OCTAVO__SERVER__THREADS", n)]).map(|config| config.server.threads().get());
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(threads("").unwrap(), (cores / 2).max(1));
    assert_eq!(threads("3").unwrap(), 3);
    for wrong in ["0", "-1", "many", "5000"] {
        assert!(threads(wrong).unwrap_err().contains("OCTAVO__SERVER__THREADS"), "{wrong}");
    }
}

#[test]
fn a_part_of_the_http_side_is_at_home_elsewhere_or_off() {
    let config = load(&[
        ("OCTAVO__SERVER__METRICS", "127.0.0.1:9090"),
        ("OCTAVO__SERVER__HEALTH", "[::1]:9091"),
        ("OCTAVO__SERVER__ADMIN", "127.0.0.1:9090"),
        ("OCTAVO__SERVER__PAGE", "off"),
    ]);
    let server = config.unwrap().server;
    let addresses = server.other_addresses();
    assert_eq!(addresses, ["127.0.0.1:9090".parse().unwrap(), "[::1]:9091".parse().unwrap()]);
    assert_eq!((server.admin, server.page), (Place::At(addresses[0]), Place::Off));
    assert_eq!(load(&[]).unwrap().server.health, Place::Main);
    for wrong in ["9090", "localhost", "yes", "127.0.0.1"] {
        let error = load(&[("OCTAVO__SERVER__ADMIN", wrong)]).unwrap_err();
        assert!(error.contains("OCTAVO__SERVER__ADMIN: "), "{error}");
    }
}

#[test]
fn secrets_are_not_shown_by_debug() {
    let config = load(&[("JWT_SECRET", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_can_match_nothing_or_was_misspelt_is_told() {
    let error = load(&[
        ("OCTAVO__SOCKET__ORIGINS", "example.org, https://a.example/, https://b.example"),
        ("OCTAVO_QUEUE__CONCURRENCY", "3"),
        ("OCTAVO_SERVER_PORT", "3"),
        ("OCTAVO__QUEUE__CLAIM_BYTES", "9223372036854775807"),
        ("OCTAVO__QUEUE__PREFIX", "bull:"),
    ]);
    let error = error.unwrap_err();
    for told in [
        "\"example.org\"",
        "\"https://a.example/\"",
        "OCTAVO_QUEUE__CONCURRENCY: two underscores",
        "write OCTAVO__SERVER__PORT",
        "CLAIM_BYTES: is",
        "QUEUE__PREFIX: is what Bull",
    ] {
        assert!(error.contains(told), "{told} is missing in:\n{error}");
    }
    assert!(!error.contains("b.example"), "{error}");
}

fn load_file(text: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    Config::load(Some(file.path().to_owned()), &Environment::new()).unwrap_err().to_string()
}

#[test]
fn a_file_that_is_no_toml_is_told_without_its_lines() {
    let error = load_file("[auth]\nsecret = \"hunter2\n");
    assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_mistake_in_a_file_is_told_by_its_key_there() {
    let error = load_file("[queue]\nconcurrency = \"many\"\n");
    assert!(error.contains("queue.concurrency in /"), "{error}");
    assert!(!error.contains("OCTAVO__"), "{error}");
}

#[test]
fn a_file_is_read_and_its_mistakes_are_told() {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(&file, "[queue]\nconcurrency = 3\nconcurency = 4\n").unwrap();
    let error = Config::load(Some(file.path().to_owned()), &Environment::new()).unwrap_err();
    assert_eq!(error.0.len(), 1, "{error}");
    assert!(error.0[0].contains("queue.concurency"), "{error}");
}
