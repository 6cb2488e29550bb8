// Package doccheck keeps the written pages true. It has tests only:
//
//	go test ./internal/doccheck
//
// reads README.md, CHANGELOG.md, docs/*.md and every other Markdown file outside testdata.
//
// # Code
//
// Every block marked go compiles. A block that begins with "package" is a file
// of its own, and a program is linked too. Any other is a piece of a file:
// declarations, or else the statements of a function, which may return what it
// likes. It needs no imports: a package that it names is imported for it (this
// module's own, and the standard library's that codeImports lists), and a
// variable that it does not use is no error. What the text around a piece has
// introduced stands in a comment before the block, which a reader of the page
// does not see:
//
//	<!-- go: var layer subquad.Layer; var data []float32 -->
//
// # Links
//
// A link to something in the repository leads to a file or folder that exists, and its
// #anchor to a heading. A link to a Go file whose text is a name in backticks leads to
// the file that declares that name:
//
//	[`TestFloors`](../internal/floors/floors_test.go)
//
// Every promise of docs/promises.md has such links to tests. docs/glossary.md
// has every layer.
//
// # Comments
//
// Every exported function, method and type has a comment with its name.
//
// # The public interface
//
// docs/api.txt lists every exported name of the packages that others may
// import, and CHANGELOG.md names every exported function and type. After a
// change,
//
//	go test ./internal/doccheck -run TestAPI -update
//
// rewrites the list, and adds what CHANGELOG.md lacks to the end of its first
// section, for a person to say what it is.
package doccheck
