// Checks what kefu writes with Go's reference implementation of the formats.
// GOPATH mode, with Debian's golang-golang-x-mod-dev; used by test_go.py.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type receipt struct {
	Index int64
	Leaf  []byte
	Proof [][]byte
}

type input struct {
	Vkey        string
	Notes       [][]byte // of checkpoints, the oldest first
	Consistency [][][]byte // from each to the newest
	Receipts    []receipt // in the newest
	Directory   string // of tiles
}

type tiles struct{ directory string }

func (t tiles) Height() int { return 8 }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		// sum.golang.org names the height in a path, tlog-tiles does not.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.directory, path))
		if err != nil && tile.W < 256 {
			full := tile
			full.W = 256
			path = strings.Replace(full.Path(), "tile/8/", "tile/", 1)
			data, err = os.ReadFile(filepath.Join(t.directory, path))
		}
		if err != nil {
			return nil, err
		}
		found = append(found, data[:tile.W*tlog.HashSize])
	}
	return found, nil
}

func check(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func hashes(rows [][]byte) (found []tlog.Hash) {
	for _, row := range rows {
		var hash tlog.Hash
		copy(hash[:], row)
		found = append(found, hash)
	}
	return found
}

func open(data []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(data, note.VerifierList(verifier))
	check("note.Open", err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check("checkpoint", fmt.Errorf("unexpected text %q", opened.Text))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check("size", err)
	root, err := tlog.ParseHash(lines[2])
	check("root", err)
	return tlog.Tree{N: size, Hash: root}
}

func main() {
	var in input
	check("input", json.NewDecoder(os.Stdin).Decode(&in))
	verifier, err := note.NewVerifier(in.Vkey)
	check("note.NewVerifier", err)
	newest := open(in.Notes[len(in.Notes)-1], verifier)
	reader := tlog.TileHashReader(newest, tiles{in.Directory})
	root, err := tlog.TreeHash(newest.N, reader)
	check("tlog.TreeHash", err)
	if root != newest.Hash {
		check("tlog.TreeHash", fmt.Errorf("not the checkpoint's"))
	}
	for i, data := range in.Notes {
		old := open(data, verifier)
		proof := tlog.TreeProof(hashes(in.Consistency[i]))
		check("tlog.CheckTree", tlog.CheckTree(proof, newest.N, newest.Hash, old.N, old.Hash))
		made, err := tlog.ProveTree(newest.N, old.N, reader)
		check("tlog.ProveTree", err)
		if fmt.Sprint(made) != fmt.Sprint(proof) {
			check("tlog.ProveTree", fmt.Errorf("another proof than ours from %d", old.N))
		}
	}
	for _, one := range in.Receipts {
		proof := tlog.RecordProof(hashes(one.Proof))
		leaf := tlog.RecordHash(one.Leaf)
		check("tlog.CheckRecord", tlog.CheckRecord(proof, newest.N, newest.Hash, one.Index, leaf))
		made, err := tlog.ProveRecord(newest.N, one.Index, reader)
		check("tlog.ProveRecord", err)
		if fmt.Sprint(made) != fmt.Sprint(proof) {
			check("tlog.ProveRecord", fmt.Errorf("another proof than ours of %d", one.Index))
		}
		leaf[0] ^= 1
		if tlog.CheckRecord(proof, newest.N, newest.Hash, one.Index, leaf) == nil {
			check("tlog.CheckRecord", fmt.Errorf("accepts another leaf"))
		}
	}
	fmt.Printf("%d checkpoints, %d receipts, tree of %d\n", len(in.Notes), len(in.Receipts), newest.N)
}
