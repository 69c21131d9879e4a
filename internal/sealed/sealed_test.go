package sealed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

type thing struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

func TestRoundTrip(t *testing.T) {
	want := thing{Name: "a <b> \" c", Values: []float64{1, 1e-300, 0.1}}
	for name, marshal := range map[string]func(any) ([]byte, error){"compact": Marshal, "indented": MarshalIndent} {
		data, err := marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got thing
		if err := Unmarshal(data, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
}

// The format written by hand, because newer programs have to read the files of older ones.
func TestFormat(t *testing.T) {
	const plain = `{"name":"x","values":[1]}`
	want := fmt.Sprintf(`{"sha256":"%x",%s`, sha256.Sum256([]byte(plain)), plain[1:])
	if got, err := Marshal(thing{"x", []float64{1}}); err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// Unmarshal notices every change of a single byte.
func TestEveryChangedByteIsNoticed(t *testing.T) {
	data, err := Marshal(thing{"name", []float64{12, 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		for _, other := range []byte{data[i] ^ 1, data[i] ^ 0x20, '0', 'x', '"'} {
			if other == data[i] {
				continue
			}
			changed := append([]byte(nil), data...)
			changed[i] = other
			var got thing
			if err := Unmarshal(changed, &got); err == nil {
				t.Fatalf("byte %d changed from %q to %q: read as %+v", i, data[i], other, got)
			}
		}
	}
}

func TestUnsealed(t *testing.T) {
	for _, text := range []string{`{}`, `{"name":"x"}`, `{"sha256":"00","name":"x"}`, `[]`, `null`} {
		if err := Unmarshal([]byte(text), &thing{}); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v; want ErrBroken", text, err)
		}
	}
	if err := Unmarshal(nil, &thing{}); err == nil {
		t.Error("an empty file was read")
	}
	for _, value := range []any{1, struct{}{}, []int{1}} {
		if _, err := Marshal(value); err == nil {
			t.Errorf("%v was sealed", value)
		}
	}
}
