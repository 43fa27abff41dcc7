// SPDX-License-Identifier: GPL-2.0-only

//! Changes to Rust.

use std::ops::Range;

use anyhow::Result;
use syn::{
    Attribute, BinOp, Block, Expr, ExprBinary, ExprMatch, ExprUnary, GenericArgument,
    ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemTrait, Pat, PathArguments, PathSegment,
    PointerMutability, ReturnType, Signature, Stmt, TraitItemFn, Type, UnOp,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::mutants::Change;

/// What is to change in `text`. An error says where it is not Rust.
pub fn changes(text: &str) -> Result<Vec<Change>> {
    let file = syn::parse_file(text)?;
    let mut finder = Finder {
        text,
        path: Vec::new(),
        found: Vec::new(),
    };
    finder.visit_file(&file);
    Ok(finder.found)
}

struct Finder<'a> {
    text: &'a str,
    /// The names around what is looked at: module, type, function.
    path: Vec<String>,
    found: Vec<Change>,
}

/// Where `node` is.
fn range(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

impl Finder<'_> {
    fn add(&mut self, kind: String, range: Range<usize>, with: &str) {
        self.found.push(Change {
            function: self.path.join("::"),
            kind,
            range,
            with: with.to_owned(),
        });
    }

    /// The text of `node`, with one space where there are several.
    fn text(&self, node: &impl Spanned) -> String {
        let words: Vec<_> = self.text[range(node)].split_whitespace().collect();
        words.join(" ")
    }

    /// Does `look` at what is called `name`, unless `attributes` leave it out.
    fn within(&mut self, name: String, attributes: &[Attribute], look: impl FnOnce(&mut Self)) {
        let is_left_out = |it: &Attribute| {
            let text = self.text(it);
            text.starts_with("#[cfg(")
                && (text.contains("(test)") || text.contains("linux_6_18"))
                && !text.contains("not(")
        };
        if attributes.iter().any(is_left_out) {
            return;
        }
        self.path.push(name);
        look(self);
        self.path.pop();
    }

    /// What the body of a function can be instead.
    fn bodies(&mut self, signature: &Signature, block: &Block) {
        let range = block.brace_token.span.join().byte_range();
        let inner = self.text[range.clone()].trim_matches(['{', '}']).trim();
        let inner = inner.to_owned();
        let values = match &signature.output {
            ReturnType::Default => vec!["()".to_owned()],
            ReturnType::Type(_, value) => values(value),
        };
        for value in values {
            let same = inner == value || (value == "()" && block.stmts.is_empty());
            if !same {
                let body = match value.as_str() {
                    "()" => "{}".to_owned(),
                    value => format!("{{ {value} }}"),
                };
                self.add(format!("return {value}"), range.clone(), &body);
            }
        }
    }
}

/// The values to return where a function returns `of`; nothing where none is known.
fn values(of: &Type) -> Vec<String> {
    match of {
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec!["()".to_owned()],
        Type::Ptr(pointer) => match pointer.mutability {
            PointerMutability::Mut(_) => vec!["core::ptr::null_mut()".to_owned()],
            PointerMutability::Const(_) => vec!["core::ptr::null()".to_owned()],
        },
        Type::Path(path) => match path.path.segments.last() {
            Some(last) => values_of(last),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The same for a type by the last part of its path.
fn values_of(last: &PathSegment) -> Vec<String> {
    let inner = || match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(GenericArgument::Type(inner)) => values(inner),
            _ => Vec::new(),
        },
        _ => vec!["()".to_owned()],
    };
    let wrapped = |name: &str| -> Vec<String> {
        let values = inner().into_iter();
        values.map(|value| format!("{name}({value})")).collect()
    };
    let name = last.ident.to_string();
    match name.as_str() {
        "bool" => vec!["true".into(), "false".into()],
        "Result" => wrapped("Ok"),
        "Option" => [vec!["None".into()], wrapped("Some")].concat(),
        "Self" => Vec::new(),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize"
        | "c_int" | "c_uint" | "c_long" | "c_ulong" => vec!["0".into(), "1".into()],
        // Type parameters, of which nothing is known.
        _ if name.len() == 1 => Vec::new(),
        _ => vec!["Default::default()".into()],
    }
}

/// What an operator becomes.
fn other(operator: &BinOp) -> Option<(&'static str, &'static str)> {
    Some(match operator {
        BinOp::Eq(_) => ("==", "!="),
        BinOp::Ne(_) => ("!=", "=="),
        BinOp::Lt(_) => ("<", "<="),
        BinOp::Le(_) => ("<=", "<"),
        BinOp::Gt(_) => (">", ">="),
        BinOp::Ge(_) => (">=", ">"),
        BinOp::And(_) => ("&&", "||"),
        BinOp::Or(_) => ("||", "&&"),
        BinOp::Add(_) => ("+", "-"),
        BinOp::Sub(_) => ("-", "+"),
        BinOp::Mul(_) => ("*", "/"),
        BinOp::Div(_) => ("/", "*"),
        BinOp::BitAnd(_) => ("&", "|"),
        BinOp::BitOr(_) => ("|", "&"),
        BinOp::Shl(_) => ("<<", ">>"),
        BinOp::Shr(_) => (">>", "<<"),
        BinOp::AddAssign(_) => ("+=", "-="),
        BinOp::SubAssign(_) => ("-=", "+="),
        BinOp::BitAndAssign(_) => ("&=", "|="),
        BinOp::BitOrAssign(_) => ("|=", "&="),
        _ => return None,
    })
}

/// The function of C that `expression` calls, if that is all that it does.
fn called(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Unsafe(it) => match it.block.stmts.as_slice() {
            [Stmt::Expr(only, _)] => called(only),
            _ => None,
        },
        Expr::Call(call) => {
            let Expr::Path(function) = &*call.func else {
                return None;
            };
            let mut segments = function.path.segments.iter().rev();
            let name = segments.next()?.ident.to_string();
            let of_c = segments.next().is_some_and(|it| it.ident == "bindings");
            of_c.then_some(name)
        }
        _ => None,
    }
}

/// Whether `pattern` takes anything.
fn is_any(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Wild(_))
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, node: &'ast ItemMod) {
        self.within(node.ident.to_string(), &node.attrs, |finder| {
            visit::visit_item_mod(finder, node);
        });
    }

    fn visit_item_trait(&mut self, node: &'ast ItemTrait) {
        self.within(node.ident.to_string(), &node.attrs, |finder| {
            visit::visit_item_trait(finder, node);
        });
    }

    fn visit_item_impl(&mut self, node: &'ast ItemImpl) {
        let name = match &*node.self_ty {
            Type::Path(path) => path.path.segments.last().map(|it| it.ident.to_string()),
            _ => None,
        };
        let name = name.unwrap_or_else(|| self.text(&*node.self_ty));
        self.within(name, &node.attrs, |finder| {
            visit::visit_item_impl(finder, node);
        });
    }

    fn visit_item_fn(&mut self, node: &'ast ItemFn) {
        self.within(node.sig.ident.to_string(), &node.attrs, |finder| {
            finder.bodies(&node.sig, &node.block);
            visit::visit_item_fn(finder, node);
        });
    }

    fn visit_impl_item_fn(&mut self, node: &'ast ImplItemFn) {
        self.within(node.sig.ident.to_string(), &node.attrs, |finder| {
            finder.bodies(&node.sig, &node.block);
            visit::visit_impl_item_fn(finder, node);
        });
    }

    fn visit_trait_item_fn(&mut self, node: &'ast TraitItemFn) {
        self.within(node.sig.ident.to_string(), &node.attrs, |finder| {
            if let Some(block) = &node.default {
                finder.bodies(&node.sig, block);
            }
            visit::visit_trait_item_fn(finder, node);
        });
    }

    fn visit_expr_unary(&mut self, node: &'ast ExprUnary) {
        if let UnOp::Not(_) = node.op {
            self.add("delete !".to_owned(), range(&node.op), "");
        }
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
        if let Some((from, to)) = other(&node.op) {
            self.add(format!("{from} to {to}"), range(&node.op), to);
        }
        visit::visit_expr_binary(self, node);
    }

    /// Only with an arm that takes the rest, a `match` without one of the others compiles.
    fn visit_expr_match(&mut self, node: &'ast ExprMatch) {
        if node.arms.iter().any(|arm| is_any(&arm.pat)) {
            for arm in node.arms.iter().filter(|arm| !is_any(&arm.pat)) {
                let kind = format!("delete arm {}", self.text(&arm.pat));
                self.add(kind, range(arm), "");
            }
        }
        visit::visit_expr_match(self, node);
    }

    fn visit_stmt(&mut self, node: &'ast Stmt) {
        if let Stmt::Expr(expression, _) = node {
            if let Some(name) = called(expression) {
                self.add(format!("delete {name}()"), range(node), "");
                // What is in an `unsafe` block is that call.
                return;
            }
        }
        visit::visit_stmt(self, node);
    }
}
