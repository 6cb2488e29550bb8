package main

import (
	"strings"
	"testing"

	"github.com/subquad/subquad/hw"
)

func TestReport(t *testing.T) {
	var b strings.Builder
	report(&b)
	for _, want := range []string{"processor", "cores", "caches", "features", "levels", "in use     " + hw.Current().String()} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int]string{0: "unknown", 48 << 10: "48 KB", 2 << 20: "2 MB", 1280 << 10: "1280 KB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
