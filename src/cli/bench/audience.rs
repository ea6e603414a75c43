//! The browsers of one measurement: a socket for each user, and a tally of what they heard.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{CliError, job::User, progress::Progress, service::Service, socket::Socket, tally::Tally};

/// How many sockets are opened at a time.
const AT_A_TIME: usize = 32;

/// After this time a room counts as joined, if the service does not answer joins.
const JOINED: Duration = Duration::from_millis(500);

/// After this time without an outcome, none is expected any more.
const SILENCE: Duration = Duration::from_mins(1);

/// How often progress is checked.
const LOOK: Duration = Duration::from_millis(200);

/// The listening users.
pub(super) struct Audience {
    tally: Arc<Tally>,
    listening: JoinSet<Result<Infallible, CliError>>,
}

impl Audience {
    /// Opens a socket for each of `users`, with a buffer of `buffer` bytes, in the user's room of `queue`; `on_hear`
    /// returns what is called for each outcome of that user, besides the tally.
    pub(super) async fn gather<H: FnMut() + Send + 'static>(
        service: &Service,
        users: &[User],
        queue: &str,
        buffer: usize,
        on_hear: impl Fn(usize) -> H,
    ) -> Result<Self, CliError> {
        let open = |user: &User| {
            let (room, token) = (format!("{}_{queue}", user.id), user.token.clone());
            async move {
                let mut socket = Socket::open(&service.address, &token, buffer).await?;
                socket.join(&room, service.answers_joins()).await?;
                Ok::<_, CliError>(socket)
            }
        };
        let opened = stream::iter(users.iter().map(open)).buffered(AT_A_TIME).try_collect::<Vec<_>>().await;
        let sockets = opened.map_err(|why| service.error(&format!("accepts no socket: {why}")))?;
        if !service.answers_joins() {
            sleep(JOINED).await;
        }
        let tally = Arc::new(Tally::default());
        let mut listening = JoinSet::new();
        for (index, socket) in sockets.into_iter().enumerate() {
            let (tally, mut more) = (Arc::clone(&tally), on_hear(index));
            listening.spawn(socket.listen(move |done| {
                more();
                tally.hear(done);
            }));
        }
        Ok(Self { tally, listening })
    }

    /// How many outcomes were heard.
    pub(super) fn told(&self) -> u64 {
        self.tally.told()
    }

    /// The same, as a function for code that does not hold the audience.
    pub(super) fn counter(&self) -> impl Fn() -> u64 + use<> {
        let tally = Arc::clone(&self.tally);
        move || tally.told()
    }

    /// Expects `count` more outcomes from now on.
    pub(super) fn expect(&self, count: u64) {
        self.tally.expect(count);
    }

    /// Waits until all expected outcomes were heard; returns when the last one was.
    ///
    /// # Errors
    /// When none comes for a minute, a socket is closed, the service ends, or an outcome is not a success.
    pub(super) async fn all(
        &mut self,
        service: &mut Service,
        progress: &Progress,
    ) -> Result<Instant, CliError> {
        let wanted = self.tally.wanted();
        let (mut before, mut since) = (self.told(), Instant::now());
        loop {
            tokio::select! {
                reached = timeout(LOOK, self.tally.reached()) => if let Ok(at) = reached {
                    self.all_done(service)?;
                    return Ok(at);
                },
                Some(closed) = self.listening.join_next() => {
                    let Err(why) = closed?;
                    return Err(service.error(&format!("lost a socket: {why}")));
                }
                error = service.ended() => return Err(error),
            }
            let told = self.told();
            progress.count(told.min(wanted), wanted);
            if told > before {
                (before, since) = (told, Instant::now());
            } else if since.elapsed() > SILENCE {
                let silence = SILENCE.as_secs();
                return Err(service
                    .error(&format!("told {told} of {wanted} outcomes, and then none for {silence} s")));
            }
        }
    }

    /// Checks that each outcome is a success: a service that fails quickly is not fast.
    fn all_done(&self, service: &Service) -> Result<(), CliError> {
        let (told, done) = (self.told(), self.tally.done());
        if done < told {
            let what = format!("told {told} outcomes, but Status is true in {done} of them only");
            return Err(service.error(&what));
        }
        Ok(())
    }

    /// Checks that no more outcomes were heard than expected, and so none twice.
    pub(super) fn no_more(&self, service: &Service) -> Result<(), CliError> {
        let (told, wanted) = (self.told(), self.tally.wanted());
        if told > wanted {
            return Err(service.error(&format!("told {told} outcomes for {wanted} jobs")));
        }
        Ok(())
    }
}
