package datasets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// The tokens that stand for no word of the vocabulary.
const (
	TokenPadding = 0 // after the end of a text
	TokenUnknown = 1 // for a word that the vocabulary lacks
)

// Vocabulary numbers words, so that a network can look up their embeddings.
type Vocabulary struct {
	words  []string // by token
	tokens map[string]int32
}

// NewVocabulary numbers the most frequent words of some texts, the most frequent first and equally
// frequent ones in alphabetical order, until there are size tokens with the padding and the unknown
// one; there are fewer if the texts have fewer words. It returns an error for a size below 3, and
// if the texts are inconsistent.
func NewVocabulary(texts *Texts, size int) (*Vocabulary, error) {
	if err := texts.check(); err != nil {
		return nil, err
	}
	if size < 3 {
		return nil, fmt.Errorf("%s: a vocabulary of %d tokens, want 3 or more: padding, unknown and a word", texts.Name, size)
	}
	counts := make(map[string]int)
	for _, words := range texts.Words {
		for _, w := range words {
			counts[w]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	v := &Vocabulary{words: append([]string{"<padding>", "<unknown>"}, frequent...), tokens: make(map[string]int32)}
	v.words = v.words[:min(size, len(v.words))]
	for token, w := range v.words[TokenUnknown+1:] {
		v.tokens[w] = int32(token) + TokenUnknown + 1
	}
	return v, nil
}

// Size returns the number of tokens, with the padding and the unknown one.
func (v *Vocabulary) Size() int { return len(v.words) }

// Encode returns the tokens of the first words of a text, followed by padding: as many as length
// says.
func (v *Vocabulary) Encode(words []string, length int) []int32 {
	tokens := make([]int32, length) // Padding.
	for i, w := range words[:min(len(words), length)] {
		tokens[i] = TokenUnknown
		if known, ok := v.tokens[w]; ok {
			tokens[i] = known
		}
	}
	return tokens
}

// Decode returns the words of tokens: "<unknown>" and "<padding>" for those that stand for no word.
// It panics if a token is not one of the vocabulary.
func (v *Vocabulary) Decode(tokens []int32) []string {
	words := make([]string, len(tokens))
	for i, token := range tokens {
		words[i] = v.words[token]
	}
	return words
}

// Tokenizer turns texts into tensors of tokens.
type Tokenizer struct {
	Vocabulary *Vocabulary
	// Length is the number of tokens of each text: longer texts are cut off, shorter ones padded.
	Length int
}

func (z Tokenizer) check(texts *Texts) error {
	if z.Vocabulary == nil || z.Length < 1 {
		return fmt.Errorf("%s: a tokenizer of length %d, want a vocabulary and a length of 1 or more", texts.Name, z.Length)
	}
	return texts.check()
}

// Tensors returns all texts and labels: int32 tokens [N, Length], and int32 labels [N, 1], as
// GoMLX's sparse losses accept them. The caller owns the tensors.
func (t *Texts) Tensors(z Tokenizer) (tokens, labels *tensors.Tensor, err error) {
	if err := z.check(t); err != nil {
		return nil, nil, err
	}
	return z.tensors(t, allOf(len(t.Words)), t.Labels)
}

// tensors returns the texts with these indices and the labels, one for each text.
func (z Tokenizer) tensors(texts *Texts, indices []int, labels []uint8) (tokensT, labelsT *tensors.Tensor, err error) {
	tokensT = tensors.FromShape(shapes.Make(dtypes.Int32, len(indices), z.Length))
	err = tensors.MutableFlatData(tokensT, func(flat []int32) {
		for row, i := range indices {
			copy(flat[row*z.Length:], z.Vocabulary.Encode(texts.Words[i], z.Length))
		}
	})
	if err != nil {
		return nil, nil, err
	}
	labelsT, err = labelTensor(labels)
	return tokensT, labelsT, err
}
