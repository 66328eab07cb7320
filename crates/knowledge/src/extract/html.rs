//! Web pages: what a reader would see of their content, as Markdown.
//!
//! The tree is pruned before it is converted. What is left out: scripts and styles; navigation,
//! footers and forms, which are the same on every page of a site and drown its content in searches;
//! and what the page hides from its readers, which is how instructions are smuggled to models.

use std::rc::Rc;

use htmd::element_handler::Handlers;
use htmd::options::{BulletListMarker, HrStyle, Options};
use htmd::{Element, HtmlToMarkdown};
use markup5ever_rcdom::{Node, NodeData};

use super::{Extracted, tidy_title};
use crate::ExtractError;

/// How deep elements may nest. Converting recurses, so this bounds the stack; pages written by
/// people or their tools stay well under 100.
pub const MAX_HTML_DEPTH: usize = 256;

/// Elements that are left out with all they hold.
const DROPPED: [&str; 28] = [
    "script", "style", "noscript", "template", "head", "nav", "footer", "aside", "form", "button",
    "input", "select", "textarea", "dialog", "iframe", "frame", "frameset", "object", "embed",
    "applet", "svg", "math", "canvas", "audio", "video", "map", "link", "meta",
];

/// Addresses that mean something outside the page they were on.
const KEPT_SCHEMES: [&str; 4] = ["https://", "http://", "mailto:", "tel:"];

pub(super) fn extract(html: &str) -> Result<Extracted, ExtractError> {
    let converter = converter();
    let tree = converter.html_to_tree(html).map_err(|error| {
        // The parser reads from memory and takes anything; this is here for its signature.
        ExtractError::Crashed {
            detail: format!("HTML parser: {}", error.kind()),
        }
    })?;
    let page_title = find(&tree, "title").map(|title| text_of(&title));
    prune(&tree)?;
    let heading = find(&tree, "h1").map(|heading| text_of(&heading));
    let content = find(&tree, "main")
        .filter(|main| !text_of(main).trim().is_empty())
        .unwrap_or_else(|| Rc::clone(&tree));
    let title = page_title
        .as_deref()
        .and_then(tidy_title)
        .or_else(|| heading.as_deref().and_then(tidy_title));
    Ok(Extracted {
        title,
        markdown: converter.tree_to_markdown(&content),
    })
}

fn converter() -> HtmlToMarkdown {
    HtmlToMarkdown::builder()
        .options(Options {
            bullet_list_marker: BulletListMarker::Dash,
            hr_style: HrStyle::Dashes,
            ul_bullet_spacing: 1,
            ol_number_spacing: 1,
            ..Options::default()
        })
        // A picture is its description: its address may be a megabyte of data, or a tracker.
        .add_handler(vec!["img"], |_: &dyn Handlers, element: Element| {
            let alt = element.attrs.iter().find(|a| &*a.name.local == "alt")?;
            Some(alt.value.trim().to_owned().into())
        })
        .build()
}

/// Takes out of the tree what is no content, and measures its depth on the way. It does not
/// recurse, so no page can exhaust the stack here.
fn prune(tree: &Rc<Node>) -> Result<(), ExtractError> {
    let mut open = vec![(Rc::clone(tree), 0_usize)];
    while let Some((node, depth)) = open.pop() {
        if depth > MAX_HTML_DEPTH {
            return Err(ExtractError::TooDeep {
                limit: MAX_HTML_DEPTH,
            });
        }
        drop_useless_link(&node);
        let mut children = node.children.borrow_mut();
        children.retain(is_content);
        open.extend(children.iter().map(|child| (Rc::clone(child), depth + 1)));
    }
    Ok(())
}

fn is_content(node: &Rc<Node>) -> bool {
    match &node.data {
        NodeData::Element { name, attrs, .. } => {
            let hidden = attrs
                .borrow()
                .iter()
                .any(|attribute| hides(&attribute.name.local, &attribute.value));
            !hidden && !DROPPED.contains(&&*name.local)
        }
        NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => false,
        NodeData::Document | NodeData::Doctype { .. } | NodeData::Text { .. } => true,
    }
}

/// Whether an attribute hides its element from readers.
fn hides(name: &str, value: &str) -> bool {
    match name {
        "hidden" => true,
        "aria-hidden" => value.eq_ignore_ascii_case("true"),
        "style" => {
            let style: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            let style = style.to_ascii_lowercase();
            [
                "display:none",
                "visibility:hidden",
                "font-size:0;",
                "opacity:0;",
            ]
            .iter()
            .any(|rule| format!("{style};").contains(rule))
        }
        _ => false,
    }
}

/// Turns a link that leads nowhere outside its page into its text.
fn drop_useless_link(node: &Rc<Node>) {
    if let NodeData::Element { name, attrs, .. } = &node.data
        && &*name.local == "a"
    {
        attrs.borrow_mut().retain(|attribute| {
            let value = attribute.value.trim_start();
            &*attribute.name.local == "href"
                && KEPT_SCHEMES.iter().any(|scheme| {
                    value
                        .get(..scheme.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
                })
        });
    }
}

/// The first element of this name, in the order of the document.
fn find(tree: &Rc<Node>, wanted: &str) -> Option<Rc<Node>> {
    let mut open = vec![Rc::clone(tree)];
    while let Some(node) = open.pop() {
        if matches!(&node.data, NodeData::Element { name, .. } if &*name.local == wanted) {
            return Some(node);
        }
        open.extend(node.children.borrow().iter().rev().map(Rc::clone));
    }
    None
}

/// All text within a node.
fn text_of(node: &Rc<Node>) -> String {
    let mut text = String::new();
    let mut open = vec![Rc::clone(node)];
    while let Some(node) = open.pop() {
        if let NodeData::Text { contents } = &node.data {
            text.push_str(&contents.borrow());
        }
        open.extend(node.children.borrow().iter().rev().map(Rc::clone));
    }
    text
}
