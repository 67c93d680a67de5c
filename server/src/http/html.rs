//! HTML mail made harmless. It is shown in a frame without scripts and without our origin, under a policy of its own;
//! what is done here would have to fail as well before it could do harm.

use super::content::{content_id, part_id};
use ammonia::{Builder, UrlRelative};
use gadwall_storage::mime::Structure;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Most tags of a document that is rendered: the parser's work grows with their number times their depth.
const TAG_LIMIT: usize = 50_000;
/// Deepest nesting, as browsers have it.
const DEPTH_LIMIT: usize = 512;
/// Most bytes kept of the style sheets together.
const STYLE_LIMIT: usize = 256 << 10;
/// Formatting elements. The HTML parser opens these again in each paragraph that follows an unclosed one, which lets
/// a small document grow without limit; under another name they are elements like any other.
const FORMATTING: [&str; 12] =
    ["b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"];
const ALIAS: &str = "gadwall-";

/// Whether pictures may be fetched from elsewhere, which tells the sender that the mail was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    Blocked,
    Allowed,
}

/// The document is built so that showing it would take unreasonable effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooComplex;

/// Where `cid:` pictures of a message are found: content ids and URLs.
pub type Pictures = BTreeMap<String, String>;

/// The raster images of a message that has `base` as its public address.
pub fn pictures(structure: &Structure, base: &str) -> Pictures {
    let is_raster =
        |t: &str| ["png", "gif", "jpeg", "jpg", "webp", "bmp"].iter().any(|r| t.eq_ignore_ascii_case(r));
    structure
        .parts()
        .into_iter()
        .filter(|(_, p)| p.content_type.is("image", "*") && is_raster(&p.content_type.subtype))
        .filter_map(|(path, p)| Some((content_id(p)?, format!("{base}/attachment/{}", part_id(&path)))))
        .collect()
}

/// Whether a document refers to pictures elsewhere.
pub fn has_remote(html: &str) -> bool {
    let html = html.to_ascii_lowercase();
    ["src=", "url(", "background=", "srcset="].iter().any(|marker| {
        html.match_indices(marker).any(|(at, _)| {
            let value = html[at + marker.len()..].trim_start_matches(['"', '\'', ' ', '\n', '\r', '\t']);
            value.starts_with("http:") || value.starts_with("https:") || value.starts_with("//")
        })
    })
}

/// A whole document that holds what may be shown of `html`. CPU heavy.
pub fn document(html: &str, pictures: &Pictures, remote: Remote) -> Result<String, TooComplex> {
    check_effort(html)?;
    let styles = styles(html);
    let renamed = rename(html, "", ALIAS);
    let body = cleaner(pictures.clone(), remote).clean(&renamed).to_string();
    let body = rename(&body, ALIAS, "");
    Ok(format!(
        "<!doctype html><html><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\">\
         <style>body{{margin:12px;font:15px/1.5 system-ui,sans-serif;color:#111;background:#fff;\
         overflow-wrap:anywhere}}img{{max-width:100%}}</style><style>{styles}</style></head><body>{body}</body></html>"
    ))
}

/// Refuses what has too many tags, or nests too deeply as far as counting tags can tell.
fn check_effort(html: &str) -> Result<(), TooComplex> {
    let bytes = html.as_bytes();
    let (mut tags, mut depth) = (0usize, 0usize);
    let mut open: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for at in memchr::memchr_iter(b'<', bytes) {
        tags += 1;
        let ends = bytes.get(at + 1) == Some(&b'/');
        let name = tag_name(&bytes[at + 1 + usize::from(ends)..]);
        if ends {
            // An end without a beginning ends nothing.
            if let Some(count) = open.get_mut(&name).filter(|n| **n > 0) {
                *count -= 1;
                depth -= 1;
            }
        } else if name.first().is_some_and(u8::is_ascii_alphabetic) && !needs_no_end(&name) {
            *open.entry(name).or_default() += 1;
            depth += 1;
        }
        if tags > TAG_LIMIT || depth > DEPTH_LIMIT {
            return Err(TooComplex);
        }
    }
    Ok(())
}

/// In lower case; at most so much of it as tells elements apart.
fn tag_name(tag: &[u8]) -> Vec<u8> {
    let tag = &tag[..tag.len().min(32)];
    let len = tag.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'-').unwrap_or(tag.len());
    tag[..len].to_ascii_lowercase()
}

/// Elements that are void or that the next one of their kind ends.
fn needs_no_end(name: &[u8]) -> bool {
    const NAMES: [&str; 24] = [
        "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta",
        "option", "p", "param", "source", "tbody", "td", "th", "thead", "tr", "track", "wbr",
    ];
    NAMES.iter().any(|n| n.as_bytes() == name)
}

/// Formatting elements' tags from `<FROMb` to `<TOb`. In output of the cleaner, where every `<` begins a tag or stands
/// in a quoted attribute, this changes nothing but names.
fn rename(html: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(html.len() + html.len() / 8);
    let mut done = 0;
    for at in memchr::memchr_iter(b'<', html.as_bytes()) {
        let slash = usize::from(html.as_bytes().get(at + 1) == Some(&b'/'));
        let start = at + 1 + slash;
        let Some(rest) = html.as_bytes().get(start..) else { break };
        let Some(name) =
            rest.get(from.len()..).filter(|_| rest[..from.len()].eq_ignore_ascii_case(from.as_bytes()))
        else {
            continue;
        };
        let len = name.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'-').unwrap_or(name.len());
        if FORMATTING.iter().any(|f| f.as_bytes().eq_ignore_ascii_case(&name[..len])) {
            out.push_str(&html[done..start]);
            out.push_str(to);
            done = start + from.len();
        }
    }
    out.push_str(&html[done..]);
    out
}

/// The style sheets in a document. Without `<` they can't end the element they are put into; what they load is up to
/// the frame's policy.
fn styles(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let (mut out, mut at) = (String::new(), 0);
    while let Some(open) = lower[at..].find("<style").map(|n| at + n) {
        let Some(start) = lower[open..].find('>').map(|n| open + n + 1) else { break };
        let end = lower[start..].find("</style").map_or(html.len(), |n| start + n);
        if out.len() + (end - start) > STYLE_LIMIT {
            break;
        }
        out.extend(html[start..end].chars().filter(|c| *c != '<'));
        out.push('\n');
        at = end;
    }
    out
}

fn cleaner(pictures: Pictures, remote: Remote) -> Builder<'static> {
    let mut builder = Builder::default();
    builder
        .add_tags(["font", "center", "big", "tt", "main", "section", "picture"])
        .add_tags(ALIASES.iter().copied())
        .add_tag_attributes("gadwall-font", ["color", "face", "size"])
        .add_tag_attributes("table", ["width", "height", "border", "cellpadding", "cellspacing", "bgcolor"])
        .add_tag_attributes("td", ["width", "height", "valign", "bgcolor", "nowrap"])
        .add_tag_attributes("th", ["width", "height", "valign", "bgcolor", "nowrap"])
        .add_tag_attributes("tr", ["valign", "bgcolor", "height"])
        .add_tag_attributes("img", ["border", "hspace", "vspace"])
        .add_generic_attributes(["align", "class", "dir", "style"])
        .filter_style_properties(STYLE_PROPERTIES.iter().copied().collect::<HashSet<_>>())
        .url_schemes(["http", "https", "mailto", "tel", "cid", "data"].into_iter().collect())
        .url_relative(UrlRelative::PassThrough) // `filter` lets none through but our own.
        .set_tag_attribute_value("a", "target", "_blank")
        .link_rel(Some("noopener noreferrer"))
        .attribute_filter(move |element, attribute, value| {
            filter(&pictures, remote, element, attribute, value)
        });
    builder
}

fn filter<'a>(
    pictures: &Pictures,
    remote: Remote,
    element: &str,
    attribute: &str,
    value: &'a str,
) -> Option<Cow<'a, str>> {
    let scheme = value.split_once(':').map(|(s, _)| s.trim().to_ascii_lowercase());
    match (element, attribute, scheme.as_deref()) {
        ("img", "src", Some("cid")) => {
            let id = value.trim().get(4..)?;
            let decoded = percent_decoded(id);
            pictures.get(id).or_else(|| pictures.get(&decoded)).map(|url| Cow::Owned(url.clone()))
        }
        ("img", "src", Some("data")) => is_raster_data(value).then_some(Cow::Borrowed(value)),
        ("img", "src", Some("http" | "https")) => (remote == Remote::Allowed).then_some(Cow::Borrowed(value)),
        (_, "src", _) => None,
        ("a", "href", Some("http" | "https" | "mailto" | "tel")) => Some(Cow::Borrowed(value)),
        ("a", "href", None) => value.trim().starts_with('#').then_some(Cow::Borrowed(value)),
        (_, "href" | "cite", _) => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

/// RFC 2392 §2: a Content-ID in a URL may be percent-encoded.
fn percent_decoded(id: &str) -> String {
    let bytes = id.as_bytes();
    let (mut out, mut i) = (Vec::with_capacity(bytes.len()), 0);
    let digit = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).map(|d| d as u8);
    while i < bytes.len() {
        match (bytes[i], digit(bytes.get(i + 1)), digit(bytes.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                i += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_raster_data(value: &str) -> bool {
    let value = value.trim_start().to_ascii_lowercase();
    ["png", "gif", "jpeg", "jpg", "webp"]
        .iter()
        .any(|t| value.starts_with(&format!("data:image/{t};base64,")))
}

const ALIASES: [&str; 12] = [
    "gadwall-b",
    "gadwall-big",
    "gadwall-code",
    "gadwall-em",
    "gadwall-font",
    "gadwall-i",
    "gadwall-s",
    "gadwall-small",
    "gadwall-strike",
    "gadwall-strong",
    "gadwall-tt",
    "gadwall-u",
];

/// What inline styles may set: looks, nothing that takes a box out of its place.
const STYLE_PROPERTIES: [&str; 66] = [
    "background",
    "background-color",
    "border",
    "border-bottom",
    "border-bottom-color",
    "border-bottom-style",
    "border-bottom-width",
    "border-collapse",
    "border-color",
    "border-left",
    "border-left-color",
    "border-left-width",
    "border-radius",
    "border-right",
    "border-right-color",
    "border-right-width",
    "border-spacing",
    "border-style",
    "border-top",
    "border-top-color",
    "border-top-style",
    "border-top-width",
    "border-width",
    "box-shadow",
    "box-sizing",
    "clear",
    "color",
    "direction",
    "display",
    "float",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-variant",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-height",
    "max-width",
    "min-height",
    "min-width",
    "opacity",
    "overflow",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "table-layout",
    "text-align",
    "text-decoration",
    "text-indent",
    "text-transform",
    "vertical-align",
    "white-space",
    "width",
    "word-break",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(html: &str, remote: Remote) -> String {
        let pictures = Pictures::from([("logo@x".into(), "/message/M/attachment/2".into())]);
        let document = document(html, &pictures, remote).unwrap();
        document.split_once("<body>").unwrap().1.to_owned()
    }

    #[test]
    fn nothing_that_runs_or_submits_survives() {
        for hostile in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<a href='javascript:alert(1)'>x</a>",
            "<a href=' jAvAsCrIpT&colon;alert(1)'>x</a>",
            "<iframe src='https://evil'></iframe>",
            "<form action='https://evil'><input name=pw></form>",
            "<svg onload=alert(1)><script>alert(1)</script></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style>",
            "<base href='https://evil/'>",
            "<meta http-equiv=refresh content='0;url=https://evil'>",
            "<object data='x'></object><embed src='x'>",
            "<link rel=stylesheet href='https://evil/x.css'>",
            "<p style='position:fixed;top:0'>x</p>",
            "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
            "<img src='data:image/svg+xml;base64,AAAA'>",
            "<b onclick=alert(1)>x</b>",
        ] {
            let out = body(hostile, Remote::Allowed).to_ascii_lowercase();
            for bad in [
                "<script",
                "onerror",
                "onload",
                "onclick",
                "javascript",
                "<iframe",
                "<form",
                "<input",
                "<svg",
                "<base",
                "<meta",
                "<object",
                "<embed",
                "<link",
                "position",
                "data:",
                "<math",
                "alert(1)<",
            ] {
                assert!(!out.contains(bad), "{bad} in {out} of {hostile}");
            }
        }
    }

    #[test]
    fn style_sheets_stay_inside_their_element() {
        let html =
            "<style>p{color:red}</style><style>a{}<!-- <\\/style></style><img src=x onerror=1> --></style>x";
        let out = document(html, &Pictures::new(), Remote::Blocked).unwrap();
        assert!(out.contains("p{color:red}") && !out.contains("<!--"), "{out}");
        assert_eq!(out.matches("</style").count(), 2, "{out}");
        assert!(!out.contains("onerror"));
    }

    #[test]
    fn own_pictures_are_found_and_remote_ones_wait_for_consent() {
        let html = "<img src='cid:logo@x'><img src='CID:logo%40x'><img src='cid:none'>\
                    <img src='https://evil/t.gif'><img src=\"data:image/png;base64,AAAA\">";
        let blocked = body(html, Remote::Blocked);
        assert_eq!(blocked.matches("src=\"/message/M/attachment/2\"").count(), 2, "{blocked}");
        assert!(!blocked.contains("evil") && !blocked.contains("cid:"), "{blocked}");
        assert!(blocked.contains("data:image/png"));
        assert!(body(html, Remote::Allowed).contains("https://evil/t.gif"));
    }

    #[test]
    fn remote_pictures_are_noticed() {
        for (html, remote) in [
            ("<img src=\"https://x/a\">", true),
            ("<td background='//x/a'>", true),
            ("<p style='background:url( http://x/a)'>", true),
            ("<a href='https://x'>", false),
            ("<img src=cid:x>", false),
        ] {
            assert_eq!(has_remote(html), remote, "{html}");
        }
    }

    #[test]
    fn ordinary_formatting_survives() {
        let out =
            body("<p class=a>Hi <B>bold</B> <font color=red size=2>red</font> <i>x</p>y", Remote::Blocked);
        assert!(out.contains("<b>bold</b>"), "{out}");
        assert!(out.contains("<font color=\"red\" size=\"2\">red</font>"), "{out}");
        assert!(!out.contains(ALIAS));
        let link = body("<a href='https://x.org/?a=1&amp;b=2'>x</a>", Remote::Blocked);
        assert!(link.contains("target=\"_blank\"") && link.contains("noopener"), "{link}");
    }

    #[test]
    fn a_bomb_stays_as_small_as_it_came() {
        let fonts: String = (0..100).map(|i| format!("<font size={i}>")).collect();
        let bomb = format!("<p>{fonts}{}", "<p>x".repeat(2000));
        let out = document(&bomb, &Pictures::new(), Remote::Blocked).unwrap();
        assert!(out.len() < 10 * bomb.len(), "{} from {}", out.len(), bomb.len());
        assert_eq!(document(&"<div>".repeat(1000), &Pictures::new(), Remote::Blocked), Err(TooComplex));
        let unended = "<div></span>".repeat(1000);
        assert_eq!(document(&unended, &Pictures::new(), Remote::Blocked), Err(TooComplex));
        assert_eq!(document(&"<br>".repeat(60_000), &Pictures::new(), Remote::Blocked), Err(TooComplex));
    }

    proptest! {
        #[test]
        fn no_soup_of_tags_runs_or_breaks_out(
            soup in prop::collection::vec(prop::sample::select(SOUP.to_vec()), 0..30),
            text in "\\PC{0,10}",
        ) {
            let html = soup.join(&text);
            for remote in [Remote::Blocked, Remote::Allowed] {
                let Ok(document) = document(&html, &Pictures::new(), remote) else { continue };
                prop_assert_eq!(document.matches("</style").count(), 2, "{}", document);
                let body = document.split_once("<body>").map_or("", |d| d.1);
                for (tag, names) in tags(body) {
                    prop_assert!(!FORBIDDEN.contains(&tag.as_str()), "{} in {} of {}", tag, body, html);
                    prop_assert!(!names.contains(" on") && !names.contains("javascript"), "{} of {}", names, html);
                }
            }
            has_remote(&html);
        }
    }

    const FORBIDDEN: [&str; 12] = [
        "script", "svg", "math", "iframe", "form", "meta", "base", "style", "title", "template", "noscript",
        "object",
    ];

    /// The tags of serialised HTML: their names, and the rest of each without what is in quotes, `href`s apart.
    fn tags(html: &str) -> Vec<(String, String)> {
        let (mut found, mut rest) = (Vec::new(), html);
        while let Some(at) = rest.find('<') {
            let mut quoted = false;
            let is_end = |c: char| {
                quoted ^= c == '"';
                c == '>' && !quoted
            };
            let end = rest[at..].find(is_end).map_or(rest.len(), |n| at + n);
            let tag = rest[at + 1..end].trim_start_matches('/');
            let name = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default();
            let mut parts = tag[name.len()..].split('"');
            let mut names = String::new();
            while let Some(outside) = parts.next() {
                names.push_str(outside);
                let value = parts.next().unwrap_or_default();
                if outside.ends_with("href=") {
                    names.push_str(value);
                }
            }
            found.push((name.to_ascii_lowercase(), names.to_ascii_lowercase()));
            rest = &rest[end..];
        }
        found
    }

    const SOUP: [&str; 28] = [
        "<script>",
        "</script>",
        "<style>",
        "</style>",
        "<STYLE ",
        "<b",
        "<gadwall-b>",
        "</b>",
        "<font color='",
        "'>",
        "\">",
        "<!--",
        "-->",
        "<svg>",
        "<math><mtext>",
        "<table><td>",
        "</td>",
        "<a href=\"javascript:x\"",
        " onerror=x",
        "<img src=cid:x",
        ">",
        "<template>",
        "<noscript><p title=\"",
        "<title>",
        "</title>",
        "<p>",
        "<textarea>",
        "<plaintext>",
    ];
}
