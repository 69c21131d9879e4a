// Package sealed writes JSON objects with a seal, the SHA-256 of the rest of the object, so that a
// reader notices a changed byte. A seal finds damage but no forgery: anybody can compute a new
// seal.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// ErrBroken says that an object has changed since it was sealed, or has no seal.
var ErrBroken = errors.New("its content does not match its checksum: the file was changed or damaged")

// The seal is the first member of the object: begin, the SHA-256 in hexadecimal of the compact JSON
// of the object without it, and end.
const (
	begin = `{"sha256":"`
	end   = `",`
)

// sealLength is the length of the whole seal in bytes.
const sealLength = len(begin) + 2*sha256.Size + len(end)

// Marshal returns the compact JSON of a value with its seal. It returns an error unless the JSON is
// an object with at least one member.
func Marshal(value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(plain) < 2 || plain[0] != '{' || plain[1] == '}' {
		return nil, errors.New("the value cannot be sealed: its JSON has to be an object with at least one member")
	}
	return append([]byte(begin+sum(plain)+end), plain[1:]...), nil
}

// MarshalIndent is Marshal for files that people read: indented by two spaces, with a newline at
// the end.
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

// Unmarshal reads what Marshal or MarshalIndent wrote; white space does not matter. It returns
// ErrBroken if the seal is missing or wrong, and the error of package json if the JSON is invalid.
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
