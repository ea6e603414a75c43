//! The header `Authorization`.

use axum::http::{HeaderMap, header};

use crate::auth::{Caller, TokenError};

/// Who sends a request, and the token that proves it.
pub(super) struct Bearer {
    caller: Caller,
    token: String,
}

impl Bearer {
    /// The caller that the request's `Authorization` header proves.
    ///
    /// # Errors
    /// When it proves nobody.
    pub(super) fn verify(headers: &HeaderMap, state: &super::State) -> Result<Self, TokenError> {
        let verified = Self::read(headers, state);
        verified.inspect_err(|error| state.metrics.http.token_refused(error.word()))
    }

    fn read(headers: &HeaderMap, state: &super::State) -> Result<Self, TokenError> {
        let header = headers.get(header::AUTHORIZATION).ok_or(TokenError::Missing)?;
        let header = header.to_str().map_err(|_| TokenError::Malformed)?;
        let (scheme, token) = header.split_once(' ').ok_or(TokenError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Malformed);
        }
        let token = token.trim();
        Ok(Self { caller: state.auth.verify(token)?, token: token.to_owned() })
    }

    /// The caller.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The token that proves it.
    pub(super) fn token(&self) -> &str {
        &self.token
    }
}
