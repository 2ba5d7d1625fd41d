//! Takes bodies in, within bounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::BytesMut;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;

use super::Turned;

/// How much of bodies is in memory: anybody can send them, before it is known who it was.
#[derive(Debug)]
pub(super) struct Memory {
    largest: usize,
    most: usize,
    used: AtomicUsize,
}

/// A whole body, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    bytes: BytesMut,
    counted: usize,
    memory: &'a Memory,
}

impl Held<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn count(&mut self, more: usize) -> Result<(), Turned> {
        let before = self.memory.used.fetch_add(more, Ordering::Relaxed);
        self.counted += more;
        if before + more > self.memory.most { Err(Turned::Busy) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

impl Memory {
    /// Bodies of up to `largest` bytes, `most` bytes of them at once.
    pub(super) const fn new(largest: usize, most: usize) -> Self {
        Self { largest, most, used: AtomicUsize::new(0) }
    }

    /// Takes a body in within `timeout`.
    pub(super) async fn collect(
        &self,
        body: Body,
        headers: &HeaderMap,
        timeout: Duration,
    ) -> Result<Held<'_>, Turned> {
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let declared = declared.and_then(|length| length.trim().parse::<u64>().ok());
        if declared.is_some_and(|length| length > self.largest as u64) {
            return Err(Turned::Oversized);
        }
        tokio::time::timeout(timeout, self.read(body)).await.unwrap_or(Err(Turned::Slow))
    }

    async fn read(&self, mut body: Body) -> Result<Held<'_>, Turned> {
        let mut held = Held { bytes: BytesMut::new(), counted: 0, memory: self };
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(Turned::Malformed) };
            let Some(data) = frame.data_ref() else { continue };
            if held.bytes.len() + data.len() > self.largest {
                return Err(Turned::Oversized);
            }
            held.count(data.len())?;
            held.bytes.extend_from_slice(data);
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    fn parts(sizes: &[usize]) -> Body {
        let parts: Vec<Result<Bytes, std::io::Error>> =
            sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        Body::from_stream(stream::iter(parts))
    }

    async fn size(memory: &Memory, body: Body) -> Result<usize, Turned> {
        memory.collect(body, &HeaderMap::new(), TIME).await.map(|held| held.bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_bounded_in_size_time_and_memory() {
        let memory = Memory::new(100, 150);
        assert_eq!(size(&memory, Body::empty()).await, Ok(0));
        assert_eq!(size(&memory, parts(&[60, 40])).await, Ok(100));
        assert_eq!(size(&memory, parts(&[60, 41])).await, Err(Turned::Oversized));
        let one = memory.collect(parts(&[100]), &HeaderMap::new(), TIME).await.unwrap();
        assert_eq!(size(&memory, parts(&[51])).await, Err(Turned::Busy));
        assert_eq!(size(&memory, parts(&[50])).await, Ok(50));
        drop(one);
        assert_eq!(
            memory.used.load(Ordering::Relaxed),
            0,
            "whatever happened, nothing stays counted"
        );

        let declared = HeaderMap::from_iter([(CONTENT_LENGTH, "101".parse().unwrap())]);
        let refused = memory.collect(parts(&[1]), &declared, TIME).await;
        assert_eq!(refused.map(|_| ()), Err(Turned::Oversized), "before anything is read");

        let stuck = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(size(&memory, stuck).await, Err(Turned::Slow));
        let cut = stream::iter([Ok(Bytes::from_static(b"[{")), Err(std::io::Error::other("cut"))]);
        assert_eq!(size(&memory, Body::from_stream(cut)).await, Err(Turned::Malformed));
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }
}
