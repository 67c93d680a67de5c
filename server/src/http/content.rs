//! What is in a message: its header, its parts decoded for display, its bytes streamed.

use super::app::App;
use super::error::{ApiError, Result};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use gadwall_storage::mime::{
    Content, Part, Structure, decode_charset, decode_text, decode_transfer, fields, scan,
};
use gadwall_storage::{BodyReader, MailboxRef, Message, StoreError, Uid, read_range};
use std::ops::Range;
use std::sync::Arc;

/// Most bytes of a part that are put on a page; the rest can be downloaded.
pub const DISPLAY_LIMIT: u64 = 2 << 20;
/// Most bytes of a header that are put on a page.
const HEADER_LIMIT: u64 = 256 << 10;
/// How much is read at a time when streaming, in bytes.
const PIECE: usize = 64 << 10;
/// Longest file name offered, in characters.
const NAME_LIMIT: usize = 200;
/// Content nobody should run: served so that a browser which opens it all the same can do nothing with it.
const INERT: &str = "default-src 'none'; sandbox";

/// A text for display, perhaps only its beginning.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    pub text: String,
    pub truncated: bool,
}

/// A part as lists of attachments show it.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentView {
    /// The part number (RFC 3501 §6.4.5).
    pub id: String,
    pub filename: String,
    pub content_type: String,
    pub disposition: String,
    pub transfer_encoding: String,
    /// Of the content as encoded, in bytes.
    pub encoded_size: u64,
    /// Of the content, in bytes; reckoned from the encoded size for base64.
    pub size: u64,
    pub content_id: Option<String>,
    /// Whether the HTML part refers to it rather than offering it.
    pub related: bool,
}

/// The structure of a message read with details.
pub fn structure(message: &Message) -> Arc<Structure> {
    message.structure.clone().unwrap_or_else(|| Arc::new(scan(b"")))
}

/// `1.2` as numbers.
pub fn part_path(id: &str) -> Option<Vec<u32>> {
    if id.len() > 200 {
        return None;
    }
    id.split('.').map(|n| n.parse().ok().filter(|n| *n > 0)).collect()
}

pub fn part_id(path: &[u32]) -> String {
    path.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

/// A Content-ID without its angle brackets.
pub fn content_id(part: &Part) -> Option<String> {
    let id = decode_text(part.id.as_deref()?);
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    (!id.is_empty()).then(|| id.to_owned())
}

pub fn media_type(part: &Part) -> String {
    format!("{}/{}", part.content_type.type_, part.content_type.subtype).to_ascii_lowercase()
}

pub fn attachments(structure: &Structure) -> Vec<AttachmentView> {
    structure.attachments().into_iter().map(|(path, part)| attachment_view(&path, part)).collect()
}

fn attachment_view(path: &[u32], part: &Part) -> AttachmentView {
    let encoded = part.body.end.saturating_sub(part.body.start);
    let offered = part.disposition.as_ref().is_some_and(|d| d.kind.eq_ignore_ascii_case("attachment"));
    let disposition = part.disposition.as_ref().map_or("attachment", |d| &d.kind).to_ascii_lowercase();
    let content_id = content_id(part);
    AttachmentView {
        id: part_id(path),
        filename: file_name(path, part),
        content_type: media_type(part),
        related: content_id.is_some() && !offered,
        disposition,
        transfer_encoding: part.encoding.to_ascii_lowercase(),
        encoded_size: encoded,
        size: decoded_size(part, encoded),
        content_id,
    }
}

/// Lines of 76 digits and CRLF are what base64 looks like nearly always; the last line has no CRLF of its own.
fn decoded_size(part: &Part, encoded: u64) -> u64 {
    if part.encoding.eq_ignore_ascii_case("base64") { (encoded - encoded / 78 * 2) / 4 * 3 } else { encoded }
}

/// The name of a part, or one made of its number.
pub fn file_name(path: &[u32], part: &Part) -> String {
    part.file_name().unwrap_or_else(|| {
        let extension = match &part.content {
            Content::Message(_) => "eml",
            _ if part.content_type.is("text", "plain") => "txt",
            _ if part.content_type.is("text", "*") => "html",
            _ if part.content_type.is("image", "*") => "img",
            _ => "bin",
        };
        format!("part-{}.{extension}", part_id(path))
    })
}

impl App {
    /// A text part, decoded.
    pub async fn part_text(&self, at: MailboxRef, uid: Uid, part: &Part) -> Result<Shown> {
        self.part_text_within(at, uid, part, DISPLAY_LIMIT).await
    }

    /// The first `limit` encoded bytes of a text part, decoded.
    pub async fn part_text_within(&self, at: MailboxRef, uid: Uid, part: &Part, limit: u64) -> Result<Shown> {
        let (bytes, truncated) = self.bytes(at, uid, part.body.clone(), limit).await?;
        Ok(Shown { text: decode_charset(part, &bytes), truncated })
    }

    /// The message as it stands, for display.
    pub async fn source(&self, at: MailboxRef, message: &Message) -> Result<Shown> {
        let (bytes, truncated) = self.bytes(at, message.uid, 0..message.size, DISPLAY_LIMIT).await?;
        let text = match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        };
        Ok(Shown { text, truncated })
    }

    /// The fields of the message's header, unfolded and decoded, in order.
    pub async fn header_fields(&self, at: MailboxRef, message: &Message) -> Result<Vec<(String, String)>> {
        let range = structure(message).root.header.clone();
        let (bytes, _) = self.bytes(at, message.uid, range, HEADER_LIMIT).await?;
        let field = |f: gadwall_storage::mime::Field<'_>| {
            (String::from_utf8_lossy(f.name).into_owned(), decode_text(f.value))
        };
        Ok(fields(&bytes).map(field).collect())
    }

    async fn bytes(&self, at: MailboxRef, uid: Uid, range: Range<u64>, limit: u64) -> Result<(Bytes, bool)> {
        let end = range.end.min(range.start.saturating_add(limit));
        let mut body = self.services.store.body(at, uid).await?;
        Ok((read_range(&mut *body, range.start..end).await?, end < range.end))
    }

    /// The message byte for byte, streamed.
    pub async fn eml(&self, at: MailboxRef, message: &Message) -> Result<Response> {
        let body = self.services.store.body(at, message.uid).await?;
        let size = body.size();
        let mut response = Response::new(stream_of(body, 0..size, None));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        set(headers, header::CONTENT_TYPE, "message/rfc822");
        set(headers, header::CONTENT_DISPOSITION, &attachment_of(&format!("message-{}.eml", message.uid)));
        set(headers, header::CONTENT_SECURITY_POLICY, INERT);
        Ok(response)
    }

    /// A part with its transfer encoding undone, streamed.
    pub async fn attachment(&self, at: MailboxRef, message: &Message, id: &str) -> Result<Response> {
        let missing = || ApiError::not_found("AttachmentNotFound", format!("there is no part {id:?}"));
        let structure = structure(message);
        let path = part_path(id).ok_or_else(missing)?;
        let part = structure.part(&path).ok_or_else(missing)?;
        let body = self.services.store.body(at, message.uid).await?;
        let decoder = Decoder::of(part);
        let plain = decoder.is_none();
        let mut response = Response::new(stream_of(body, part.body.clone(), decoder));
        let headers = response.headers_mut();
        if plain {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.body.end - part.body.start));
        }
        set(headers, header::CONTENT_TYPE, &content_type_of(part));
        set(headers, header::CONTENT_DISPOSITION, &attachment_of(&file_name(&path, part)));
        set(headers, header::CONTENT_SECURITY_POLICY, INERT);
        Ok(response)
    }
}

fn set(headers: &mut axum::http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The declared type if it is one, with its charset.
fn content_type_of(part: &Part) -> String {
    let token = |s: &str| {
        !s.is_empty() && s.len() < 100 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b))
    };
    if !token(&part.content_type.type_) || !token(&part.content_type.subtype) {
        return "application/octet-stream".into();
    }
    let charset = part.content_type.param("charset").map(String::from_utf8_lossy).filter(|c| token(c));
    match charset {
        Some(charset) if part.content_type.is("text", "*") => {
            format!("{}; charset={charset}", media_type(part))
        }
        _ => media_type(part),
    }
}

/// RFC 6266 §4.3: the name in UTF-8, and without what old readers misread.
fn attachment_of(name: &str) -> String {
    use std::fmt::Write;
    // Some clients take 8 KiB of header in all, and a character may become 12.
    let name: String = name.chars().take(NAME_LIMIT).collect();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && !"\"\\%".contains(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        // RFC 8187 §3.2.1: attr-char.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// Undoes a transfer encoding piece by piece.
struct Decoder {
    part: Part,
    carry: Vec<u8>,
    ended: bool,
}

impl Decoder {
    /// `None` when there is nothing to undo.
    fn of(part: &Part) -> Option<Self> {
        let encoded = ["base64", "quoted-printable"].iter().any(|e| part.encoding.eq_ignore_ascii_case(e));
        let part = Part { content: Content::Leaf, ..part.clone() };
        encoded.then(|| Decoder { part, carry: Vec::new(), ended: false })
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.part.encoding.eq_ignore_ascii_case("base64") {
            self.push_base64(bytes)
        } else {
            self.push_quoted(bytes)
        }
    }

    fn push_base64(&mut self, bytes: &[u8]) -> Vec<u8> {
        for &byte in bytes {
            // Decoding ends at the padding.
            self.ended |= byte == b'=';
            if !self.ended && (byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/') {
                self.carry.push(byte);
            }
        }
        let rest = self.carry.split_off(self.carry.len() / 4 * 4);
        let whole = std::mem::replace(&mut self.carry, rest);
        decode_transfer(&self.part, &whole)
    }

    fn push_quoted(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.carry.extend_from_slice(bytes);
        let at = match memchr::memrchr(b'\n', &self.carry) {
            Some(at) => at + 1,
            // A line without end: cut where neither an escape nor trailing white space is torn apart.
            None if self.carry.len() > PIECE => {
                let safe = |i: &usize| {
                    !self.carry[i - 3..*i].contains(&b'=') && !self.carry[i - 1].is_ascii_whitespace()
                };
                (3..self.carry.len()).rev().find(safe).unwrap_or(self.carry.len())
            }
            None => return Vec::new(),
        };
        let rest = self.carry.split_off(at);
        let whole = std::mem::replace(&mut self.carry, rest);
        decode_transfer(&self.part, &whole)
    }

    fn finish(&mut self) -> Vec<u8> {
        decode_transfer(&self.part, &std::mem::take(&mut self.carry))
    }
}

struct Streaming {
    body: Box<dyn BodyReader>,
    range: Range<u64>,
    decoder: Option<Decoder>,
}

impl Streaming {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while self.range.start < self.range.end {
            let want = (self.range.end - self.range.start).min(PIECE as u64) as usize;
            let piece = self.body.read_at(self.range.start, want).await?;
            if piece.is_empty() {
                return Err(StoreError::Corrupt("a body ends before its size".into()));
            }
            self.range.start += piece.len() as u64;
            let piece = match &mut self.decoder {
                Some(decoder) => decoder.push(&piece).into(),
                None => piece,
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        let rest = self.decoder.take().map(|mut d| d.finish()).unwrap_or_default();
        Ok((!rest.is_empty()).then(|| rest.into()))
    }
}

fn stream_of(body: Box<dyn BodyReader>, range: Range<u64>, decoder: Option<Decoder>) -> Body {
    let end = range.end.min(body.size());
    let start = Streaming { body, range: range.start.min(end)..end, decoder };
    Body::from_stream(stream::try_unfold(start, |mut s| async move {
        Ok::<_, StoreError>(s.next().await?.map(|piece| (piece, s)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(encoding: &str) -> Part {
        let message = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
        scan(message.as_bytes()).root
    }

    proptest! {
        #[test]
        fn decoding_in_pieces_equals_decoding_at_once(
            text in "[A-Za-z0-9+/=ÄÖ \r\n]{0,200}",
            cuts in prop::collection::vec(1usize..9, 1..40),
        ) {
            for encoding in ["base64", "quoted-printable"] {
                let part = part(encoding);
                let mut decoder = Decoder::of(&part).unwrap();
                let (mut rest, mut out) = (text.as_bytes(), Vec::new());
                for cut in cuts.iter().cycle() {
                    let (piece, left) = rest.split_at((*cut).min(rest.len()));
                    out.extend(decoder.push(piece));
                    rest = left;
                    if rest.is_empty() {
                        break;
                    }
                }
                out.extend(decoder.finish());
                prop_assert_eq!(out, decode_transfer(&part, text.as_bytes()), "{}", encoding);
            }
        }
    }

    #[test]
    fn a_line_without_end_is_decoded_without_being_kept() {
        let part = part("quoted-printable");
        let mut decoder = Decoder::of(&part).unwrap();
        let text = "=C3=BC".repeat(60_000) + &"x".repeat(300_000);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(1000) {
            out.extend(decoder.push(piece));
            assert!(decoder.carry.len() <= 2 * PIECE + 360_000);
        }
        out.extend(decoder.finish());
        assert_eq!(out, decode_transfer(&part, text.as_bytes()));
    }

    #[test]
    fn names_of_downloads_cannot_leave_their_header() {
        let value = attachment_of("ü \"x\"\\;\u{202e}.txt");
        assert!(HeaderValue::from_str(&value).is_ok());
        assert_eq!(value.matches('"').count(), 2, "{value}");
        assert!(value.contains("filename*=UTF-8''%C3%BC%20%22x%22%5C%3B"), "{value}");
        assert!(attachment_of(&"😀".repeat(100_000)).len() < 4000);
    }
}
