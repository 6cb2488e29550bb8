// Package lm has whole language models made of this module's layers: load a
// checkpoint, run it over tokens in pieces of any length, sample from it, and
// keep its state in a file.
//
//	m, err := lm.Load("folder")        // config.json and safetensors, or an RWKV checkpoint
//	m.Narrow(tensor.Q8_0)              // if memory or its speed is short: weights in fewer bits
//	st := m.NewState(1)                // one text
//	for id, err := range m.Generate(ctx, prompt, st, lm.Options{MaxTokens: 100}) { … }
//	err = st.SaveFile("text.state")    // another process goes on from there: st.LoadFile
//
// # Models
//
// From Hugging Face's transformers: mamba, mamba2, falcon_mamba and llama; from
// flash-linear-attention: gla, retnet, delta_net, gated_deltanet and kda; these
// are named by model_type in config.json. RWKV-4 to 7 have the tensor names of
// BlinkDL's checkpoints and need no configuration. Files are safetensors, whole
// or in shards. New and NewRWKV make models of random weights, to train or to
// measure.
//
// Ids go in and out; turning text into ids is lm/tokenizer's work.
//
// # Calls
//
// Generate is the loop over tokens. Below it, Last gives the logits after a
// piece of text (reading a prompt, or one step of a loop of one's own), Forward
// those after every token (training, scoring), Hidden what the head would get
// (embeddings). All take sequences of one length in one call, and a state that
// they continue; nil starts from nothing. Results live in the scope that is
// given, until its Reset.
//
// # Cost
//
// A prompt is matrix products: its time grows with its length, and with the
// square of it only in llama. A generated token reads every weight once, so its
// time is that of memory, and fewer bits make it faster; it allocates nothing.
// A state has a fixed size but for llama's. A Model's weights are only read:
// one serves many goroutines, each with its own scope and state. go run
// ./bench/lmbench measures whole models.
//
// Everything here faces data from outside: it returns errors and does not panic.
package lm
