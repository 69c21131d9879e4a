// Package layers holds layers that can be differentiated twice on both backends, which a penalty on
// the geometric complexity needs (its value takes one derivative, its gradient a second), and the
// paper's networks made of them: MLP, ResNet18 and VGG13.
//
// GoMLX lacks some of the gradients that this takes. Importing this package or package gcml
// registers most of them (see internal/autodiff), so that GoMLX's own layers work too. This package
// adds the layers that need more than a registered gradient, as builders in GoMLX's style: a
// constructor, options, Done.
//
// Images are shaped [batch, height, width, channels] throughout.
package layers

import "github.com/geometric-complexity/toolkit/internal/autodiff"

func init() { autodiff.Register() }
