// Package hwtest runs tests at instruction levels.
package hwtest

import (
	"os"
	"testing"

	"github.com/subquad/subquad/hw"
)

// Levels runs f at every level of the machine, or at the one that SUBQUAD_HW names.
func Levels(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	levels := hw.Levels()
	if os.Getenv(hw.Env) != "" {
		levels = []hw.Level{hw.Current()}
	}
	at(t, levels, f)
}

// Layers is Levels for tests of whole layers, whose kernels have tests of their own: short ones run at the
// level in use only.
func Layers(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if testing.Short() {
		at(t, []hw.Level{hw.Current()}, f)
		return
	}
	Levels(t, f)
}

func at(t *testing.T, levels []hw.Level, f func(t *testing.T)) {
	t.Helper()
	was := hw.Current()
	defer hw.Set(was)
	for _, l := range levels {
		if err := hw.Set(l); err != nil {
			t.Fatal(err)
		}
		t.Run(l.String(), f)
	}
}
