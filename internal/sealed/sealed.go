// Package sealed writes JSON objects that hold the SHA-256 of the rest of
// themselves, so that a reader notices when a byte of them was changed. A seal
// finds damage; whoever wants to deceive can seal anew.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// ErrBroken says that an object is not what was sealed, or has no seal.
var ErrBroken = errors.New("its content is not what was written there")

// The seal is the first member of the object: begin, the SHA-256 in hexadecimal
// of the compact JSON of the object without it, and end.
const (
	begin = `{"sha256":"`
	end   = `",`
)

// sealLength is the length of all of it.
const sealLength = len(begin) + 2*sha256.Size + len(end)

// Marshal returns the compact JSON of a value that has at least one member, with
// its seal.
func Marshal(value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(plain) < 2 || plain[0] != '{' || plain[1] == '}' {
		return nil, errors.New("only an object with members can be sealed")
	}
	return append([]byte(begin+sum(plain)+end), plain[1:]...), nil
}

// MarshalIndent is Marshal for files that people read: indented by two spaces,
// with a newline at the end.
func MarshalIndent(value any) ([]byte, error) {
	compact, err := Marshal(value)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Unmarshal reads what Marshal or MarshalIndent wrote; white space does not
// matter. It returns ErrBroken, or the error of the JSON.
func Unmarshal(data []byte, value any) error {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err
	}
	compact := b.Bytes()
	if len(compact) < sealLength || !bytes.HasPrefix(compact, []byte(begin)) {
		return ErrBroken
	}
	plain := append([]byte{'{'}, compact[sealLength:]...)
	if string(compact[:sealLength]) != begin+sum(plain)+end {
		return ErrBroken
	}
	return json.Unmarshal(plain, value)
}

func sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
