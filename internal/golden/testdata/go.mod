// A module of its own keeps this data out of what go get downloads.
module github.com/subquad/subquad/internal/golden/testdata

go 1.26
