// Package lm has whole language models made of this module's layers: load a
// checkpoint, run it over tokens in pieces of any length, sample from it, and
// keep its state in a file.
//
//	m, err := lm.LoadRWKV("model.safetensors")
//	for id, err := range m.Generate(ctx, prompt, m.NewState(1), lm.Options{MaxTokens: 100}) { … }
//
// Everything here faces data from outside: it returns errors and does not panic.
package lm
