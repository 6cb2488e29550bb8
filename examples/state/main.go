// State forks a language model's memory of a text, saves it, and goes on with
// it in another process, to the bit.
//
//	go run ./examples/state
//	go run ./examples/state -prompt "The light " -save light.state
//	go run ./examples/state -restore light.state -prompt "of the Sun " -seed 2
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/subquad/subquad/lm"
	"github.com/subquad/subquad/lm/tokenizer"
	"github.com/subquad/subquad/tensor"
)

// Two models trained on English text, an id for each byte, that lie in the repository.
const (
	bundled = "lm/testdata/rwkv-4v0-660K"
	foreign = "lm/testdata/rwkv-7v0-834K"
)

type settings struct {
	model, other, prompt, restore, save string
	tokens                              int
	seed                                uint64
}

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "State shows how a model's state is forked, saved and restored in another process;\nwith -save or -restore it continues one text.\n\n")
		flag.PrintDefaults()
	}
	var c settings
	flag.StringVar(&c.model, "model", bundled, "byte-level RWKV checkpoint, a safetensors file or folder")
	flag.StringVar(&c.other, "other", foreign, "another checkpoint, whose states the first must refuse")
	flag.StringVar(&c.prompt, "prompt", "The light that comes from the Sun ", "text to continue")
	flag.StringVar(&c.restore, "restore", "", "state file to start from")
	flag.StringVar(&c.save, "save", "", "state file to write at the end")
	flag.IntVar(&c.tokens, "tokens", 120, "tokens to generate at a time")
	flag.Uint64Var(&c.seed, "seed", 1, "of sampling")
	flag.Parse()
	if err := run(os.Stdout, c); err != nil {
		fmt.Fprintln(os.Stderr, "state:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, c settings) error {
	m, err := lm.LoadRWKV(c.model)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: run this in the repository's root, or give -model and -other", err)
	case err != nil:
		return err
	case c.prompt == "" || c.tokens < 1:
		return fmt.Errorf("-prompt %q, -tokens %d: want a text, and 1 or more", c.prompt, c.tokens)
	case c.save != "" || c.restore != "":
		return continueText(w, c, m)
	}
	return show(w, c, m)
}

// generate reads prompt into the state and continues it. Afterwards the state
// has seen all but the last token, which the next prompt begins with.
func generate(m *lm.Model, st *tensor.State, prompt string, tokens int, seed uint64) (string, error) {
	var text []byte
	options := lm.Options{MaxTokens: tokens, Sampler: &lm.Sampler{Temperature: 0.6, TopP: 0.9, Seed: seed}}
	for id, err := range m.Generate(context.Background(), tokenizer.Bytes{}.Encode(prompt), st, options) {
		if err != nil {
			return "", err
		}
		text = tokenizer.Bytes{}.Append(text, id)
	}
	return string(text), nil
}

// continueText is what -restore and -save do: one process, one piece of a text.
func continueText(w io.Writer, c settings, m *lm.Model) error {
	st := m.NewState(1)
	if c.restore != "" {
		if err := st.LoadFile(c.restore); err != nil {
			return err
		}
	}
	text, err := generate(m, st, c.prompt, c.tokens, c.seed)
	if err != nil {
		return err
	}
	fmt.Fprint(w, text)
	if c.save != "" {
		return st.SaveFile(c.save)
	}
	return nil
}

// show forks, saves, restores and continues, and says what comes of it.
func show(w io.Writer, c settings, m *lm.Model) error {
	st := m.NewState(1)
	text, err := generate(m, st, c.prompt, c.tokens, c.seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s has read %d tokens; its state is %d bytes, as after the first.\n\n%s%s\n\n", filepath.Base(c.model), st.Pos[0], st.Bytes(), c.prompt, text)

	last := text[len(text)-1:] // the state has not seen it yet
	for i := range 2 {
		fork, err := generate(m, st.Clone(), last, c.tokens/2+1, c.seed+1+uint64(i))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "fork %d: %s%s\n", i+1, last, fork)
	}
	fmt.Fprintf(w, "the original has read %d tokens still\n\n", st.Pos[0])

	dir, err := os.MkdirTemp("", "state")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	saved, after := filepath.Join(dir, "saved.state"), filepath.Join(dir, "after.state")
	if err := st.SaveFile(saved); err != nil {
		return err
	}
	c.seed += 3 // other choices than those at the start
	here, err := generate(m, st, last, c.tokens, c.seed)
	if err != nil {
		return err
	}
	there, pid, err := inAnotherProcess(c, saved, after, last)
	if err != nil {
		return err
	}
	a, err1 := st.MarshalBinary()
	b, err2 := os.ReadFile(after)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	fmt.Fprintf(w, "process %d goes on:  %s%s\nprocess %d restores: %s%s\n", os.Getpid(), last, here, pid, last, there)
	fmt.Fprintf(w, "the same text: %v; the states at the end, files of %d bytes, are the same to the bit: %v\n\n", here == there, len(a), bytes.Equal(a, b))
	return refusals(w, c, m, st)
}

// inAnotherProcess runs this program to continue a saved state.
func inAnotherProcess(c settings, restore, save, prompt string) (text string, pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", 0, err
	}
	cmd := exec.Command(self, "-model", c.model, "-restore", restore, "-save", save,
		"-prompt", prompt, "-tokens", fmt.Sprint(c.tokens), "-seed", fmt.Sprint(c.seed))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", 0, err
	}
	return string(out), cmd.ProcessState.Pid(), nil
}

// refusals shows what is said of data that is not a state of this model.
func refusals(w io.Writer, c settings, m *lm.Model, st *tensor.State) error {
	other, err := lm.LoadRWKV(c.other)
	if err != nil {
		return err
	}
	good, err1 := st.MarshalBinary()
	foreign, err2 := other.NewState(1).MarshalBinary()
	two, err3 := m.NewState(2).MarshalBinary()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)/2] ^= 4
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"one bit changed", damaged},
		{"cut short", good[:len(good)/2]},
		{"another model's", foreign},
		{"of two sequences", two},
		{"not a state", []byte("The light that comes from the Sun")},
	} {
		fmt.Fprintf(w, "%-18s%v\n", f.name+":", m.NewState(1).UnmarshalBinary(f.data))
	}
	return nil
}
