module github.com/subquad/subquad

go 1.26.0

require github.com/klauspost/cpuid/v2 v2.4.2

require (
	github.com/google/go-cmp v0.7.0 // indirect
	golang.org/x/sys v0.41.0 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
)
