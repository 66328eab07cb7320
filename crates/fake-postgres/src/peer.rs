//! The client at the other end: hearing it, and saying things to it as the script wants them said.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{act::Act, record::Record};

/// The largest message that is taken from a client.
const LARGEST: usize = 64 << 20;
/// How many zeros are said at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client left, or said what nobody understands.
    Left,
    /// The script wants it closed.
    HungUp,
    /// The script wants it reset.
    Reset,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

/// A client's connection.
pub(crate) struct Peer {
    stream: TcpStream,
    record: Arc<Record>,
    drip: Option<Duration>,
    /// How much may still be said before the connection is reset.
    left: Option<usize>,
}

impl Peer {
    pub(crate) fn new(
        stream: TcpStream,
        record: Arc<Record>,
        drip: Option<Duration>,
        reset_after: Option<usize>,
    ) -> Self {
        Self {
            stream,
            record,
            drip,
            left: reset_after,
        }
    }

    pub(crate) fn reset_after(&mut self, bytes: usize) {
        self.left = Some(bytes);
    }

    /// A message before the sign-in, which has no tag: its code and the rest.
    pub(crate) async fn hear_untagged(&mut self) -> Result<(u32, Vec<u8>), End> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        self.record.hear(&length);
        let body = self.hear_body(u32::from_be_bytes(length)).await?;
        let (code, rest) = body.split_first_chunk().ok_or(End::Left)?;
        Ok((u32::from_be_bytes(*code), rest.to_vec()))
    }

    /// A message: its tag and its body.
    pub(crate) async fn hear(&mut self) -> Result<(u8, Vec<u8>), End> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).await?;
        self.record.hear(&header);
        let [tag, length @ ..] = header;
        Ok((tag, self.hear_body(u32::from_be_bytes(length)).await?))
    }

    async fn hear_body(&mut self, length: u32) -> Result<Vec<u8>, End> {
        let length = usize::try_from(length).map_err(|_| End::Left)?;
        if !(4..=LARGEST).contains(&length) {
            return Err(End::Left);
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await?;
        self.record.hear(&body);
        Ok(body)
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) -> Result<(), End> {
        let now = self.left.map_or(bytes.len(), |left| left.min(bytes.len()));
        match self.drip {
            None => self.stream.write_all(&bytes[..now]).await?,
            Some(every) => {
                for byte in &bytes[..now] {
                    sleep(every).await;
                    self.stream.write_all(&[*byte]).await?;
                }
            }
        }
        self.record.said.add(now as u64);
        if let Some(left) = &mut self.left {
            *left -= now;
            if now < bytes.len() {
                return Err(End::Reset);
            }
        }
        Ok(())
    }

    pub(crate) async fn perform(&mut self, acts: &[Act]) -> Result<(), End> {
        for act in acts {
            match act {
                Act::Say(bytes) => self.say(bytes).await?,
                Act::Repeat(bytes) => loop {
                    self.say(bytes).await?;
                },
                Act::Zeros(count) => {
                    let mut left = *count;
                    while left > 0 {
                        let now = usize::try_from(left).unwrap_or(ZEROS.len());
                        let now = now.min(ZEROS.len());
                        self.say(&ZEROS[..now]).await?;
                        left -= now as u64;
                    }
                }
                Act::Wait(time) => sleep(*time).await,
                Act::FallSilent => self.linger().await?,
                Act::HangUp => return Err(End::HungUp),
                Act::Reset => return Err(End::Reset),
            }
        }
        Ok(())
    }

    /// Stays, silent, until the client leaves.
    async fn linger(&mut self) -> Result<(), End> {
        let mut buffer = [0; 4096];
        loop {
            let length = self.stream.read(&mut buffer).await?;
            if length == 0 {
                return Err(End::Left);
            }
            self.record.hear(&buffer[..length]);
        }
    }

    /// Closes it as it is to be closed.
    pub(crate) fn close(self, end: &End) {
        if matches!(end, End::Reset) {
            // With nothing to linger for, the system sends a reset instead of a farewell.
            let _ = self.stream.set_zero_linger();
        }
    }
}
