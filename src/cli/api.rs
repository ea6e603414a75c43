//! The HTTP API of a running service, as one caller.

use reqwest::{Client, RequestBuilder, Url};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::CliError;
use crate::{
    app,
    config::{Config, Place},
    pipeline::FieldError,
};

/// A service, and the token of the caller.
pub(super) struct Api {
    client: Client,
    base: Url,
    token: String,
}

#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

impl Api {
    /// The service at `url`, or on this machine at the port of `config`.
    pub(super) fn new(url: Option<&str>, config: &Config, token: String) -> Result<Self, CliError> {
        let url = url.map_or_else(|| format!("http://127.0.0.1:{}", config.server.port), str::to_owned);
        Self::at_url(&url, token)
    }

    /// The service at `url`, or where `config` has its `/admin`.
    pub(super) fn of_admin(url: Option<&str>, config: &Config, token: String) -> Result<Self, CliError> {
        match (url, config.server.admin) {
            (None, Place::At(address)) => Self::at_url(&app::url(address), token),
            (None, Place::Off) => {
                Err("server.admin is off: the service has no /admin for this command".into())
            }
            (Some(_), _) | (None, Place::Main) => Self::new(url, config, token),
        }
    }

    fn at_url(url: &str, token: String) -> Result<Self, CliError> {
        if !url.contains("://") {
            return Err(format!("--url {url}: write http://{url}").into());
        }
        let base = Url::parse(url).map_err(|error| format!("--url {url}: {error}"))?;
        if base.cannot_be_a_base() {
            return Err(format!("--url {url}: is not an address like http://localhost:4016").into());
        }
        Ok(Self { client: Client::new(), base, token })
    }

    /// The address of a path, given in parts that may contain any characters.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        url
    }

    /// The address of a path returned by the service.
    pub(super) fn at(&self, path: &str) -> Url {
        self.url(&path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>())
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, CliError> {
        self.answer(self.client.get(url)).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        url: Url,
        body: &impl Serialize,
    ) -> Result<T, CliError> {
        self.post_once(url, body, None).await
    }

    /// Posts under an idempotency key: what was posted under it before is not done again.
    pub(super) async fn post_once<T: DeserializeOwned>(
        &self,
        url: Url,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, CliError> {
        let mut request = self.client.post(url).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.answer(request).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CliError> {
        let base = self.base.as_str().trim_end_matches('/');
        let response = request.bearer_auth(&self.token).send().await.map_err(|error| {
            format!("cannot reach a service at {base}: {error}; is `octavo serve` running?")
        })?;
        if response.status().is_success() {
            return Ok(response.json().await?);
        }
        let status = response.status();
        let problem: Problem = response.json().await.map_err(|_| format!("{base} answered {status}"))?;
        if problem.errors.is_empty() {
            return Err(format!("{}: {}", problem.title, problem.detail).into());
        }
        let errors: Vec<_> = problem.errors.iter().map(|error| format!("\n  - {error}")).collect();
        Err(format!("{}:{}", problem.title, errors.concat()).into())
    }
}
