package tensor_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/subquad/subquad/tensor"
)

func layerState(kind string, batch, width int) *tensor.State {
	st := tensor.NewState(kind, batch).Add("h", tensor.New(batch, width)).Growing("keys", 1, tensor.New(batch, 0, 2))
	st.Sub = []*tensor.State{tensor.NewState("inner", batch).Add("s", tensor.New(batch, 3))}
	return st
}

// used is a state that has seen something.
func used() *tensor.State {
	st := layerState("layer", 2, 4)
	for i := range st.Parts[0].Value.Data() {
		st.Parts[0].Value.Data()[i] = float32(i) + 0.5
	}
	st.Parts[1].Grow(nil, 1, 3)
	st.Parts[1].Value.Data()[7] = 7
	st.Sub[0].Parts[0].Value.Data()[1] = -1
	st.Advance(9)
	return st
}

func same(a, b *tensor.State) bool {
	x, _ := a.MarshalBinary()
	y, _ := b.MarshalBinary()
	return bytes.Equal(x, y)
}

func TestStateRoundTrip(t *testing.T) {
	st := used()
	data, err := st.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	got := layerState("layer", 2, 4)
	if err := got.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if !same(got, st) || got.Pos[1] != 9 || got.Parts[1].Value.Dim(1) != 3 {
		t.Error("a saved state came back different")
	}
	fork := got.Clone()
	fork.Parts[0].Value.Data()[0] = 99
	if same(fork, got) || !same(got, st) {
		t.Error("a fork shares memory")
	}
	got.Reset()
	if !same(got, layerState("layer", 2, 4)) {
		t.Error("Reset does not go back to the start")
	}
	path := filepath.Join(t.TempDir(), "state")
	if err := st.SaveFile(path); err != nil {
		t.Fatal(err)
	}
	if err := got.LoadFile(path); err != nil || !same(got, st) {
		t.Errorf("loaded from a file: %v", err)
	}
}

func TestStateRefused(t *testing.T) {
	good, _ := used().MarshalBinary()
	for _, c := range []struct {
		name, want string
		into       *tensor.State
		data       func() []byte
	}{
		{"another layer", "other", layerState("other", 2, 4), func() []byte { return good }},
		{"another batch", "3", layerState("layer", 3, 4), func() []byte { return good }},
		{"another width", "length 4, want 5", layerState("layer", 2, 5), func() []byte { return good }},
		{"not a state", "SQST", layerState("layer", 2, 4), func() []byte { return []byte("something else, long enough") }},
		{"empty", "SQST", layerState("layer", 2, 4), func() []byte { return nil }},
		{"another version", "version 2", layerState("layer", 2, 4), func() []byte { b := slices.Clone(good); b[4] = 2; return b }},
		{"a flipped bit", "damaged", layerState("layer", 2, 4), func() []byte { b := slices.Clone(good); b[40] ^= 1; return b }},
		{"truncated", "damaged", layerState("layer", 2, 4), func() []byte { return good[:len(good)-9] }},
		{"too long", "damaged", layerState("layer", 2, 4), func() []byte { return append(slices.Clone(good), 0) }},
	} {
		before := c.into.Clone()
		err := c.into.UnmarshalBinary(c.data())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", c.name, err, c.want)
		}
		if !same(c.into, before) {
			t.Errorf("%s: the state was changed", c.name)
		}
	}
}

// A write that fails leaves the old file whole.
func TestStateSaveFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := used().SaveFile(path); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path)
	if err := used().SaveFile(filepath.Join(dir, "absent", "state")); err == nil {
		t.Error("saving to a folder that is not there succeeded")
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := used().SaveFile(filepath.Join(dir, "folder")); err == nil {
		t.Error("saving over a folder succeeded")
	}
	now, _ := os.ReadFile(path)
	names, _ := os.ReadDir(dir)
	if !bytes.Equal(old, now) || len(names) != 2 {
		t.Errorf("the old file changed, or something was left behind: %v", names)
	}
}

func FuzzState(f *testing.F) {
	good, _ := used().MarshalBinary()
	f.Add(good)
	f.Add(good[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		st := layerState("layer", 2, 4)
		if err := st.UnmarshalBinary(data); err != nil {
			if !same(st, layerState("layer", 2, 4)) {
				t.Error("a refused state changed the one in hand")
			}
			return
		}
		again, err := st.MarshalBinary()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("an accepted state is encoded differently (%v)", err)
		}
	})
}
