// Package layers holds layers that can be differentiated twice on both backends, which a penalty on the
// geometric complexity needs (its value takes one derivative, its gradient a second), and the paper's
// networks made of them: MLP, ResNet18 and VGG13.
//
// Most gaps of GoMLX are closed by registering better gradients (see internal/autodiff, registered by
// importing this package or package gcml), so that GoMLX's own layers work too. This package adds what
// cannot be had that way, as builders in GoMLX's style: New, options, Done.
//
// Images are shaped [batch, height, width, channels] throughout.
package layers

import "example.com/geometric-complexity/internal/autodiff"

func init() { autodiff.Register() }
