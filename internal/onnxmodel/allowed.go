package onnxmodel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
)

// newestOpset is the newest version of ONNX's own operators for which the conformance suite was
// run. A later version may give an operator another meaning.
const newestOpset = 28

// form describes the allowed uses of an operator: the first version of ONNX's operators whose form
// is supported, the largest number of inputs and outputs (-1: any), and the attributes, separated
// by spaces. Values of attributes that are not supported are refused by the operator's rewrite.
type form struct {
	since           int64
	inputs, outputs int
	attributes      string
}

// allowed has the operators that give the values of ONNX's conformance suite, or the GC of another
// implementation where the suite has no case. All others are refused: the importer accepts more,
// but ignores attributes and inputs of some. Operators of other domains than ONNX's own have the
// domain before their name.
var allowed = map[string]form{
	"Abs":        {1, 1, 1, ""},
	"Acos":       {7, 1, 1, ""},
	"Acosh":      {9, 1, 1, ""},
	"Add":        {1, 2, 1, "axis broadcast"},
	"AffineGrid": {20, 2, 1, "align_corners"},
	"And":        {1, 2, 1, "axis broadcast"},
	"ArgMax":     {1, 1, 1, "axis keepdims select_last_index"},
	"ArgMin":     {1, 1, 1, "axis keepdims select_last_index"},
	"Asin":       {7, 1, 1, ""},
	"Asinh":      {9, 1, 1, ""},
	"Atan":       {7, 1, 1, ""},
	"Atanh":      {9, 1, 1, ""},
	"Attention": {23, 7, 4,
		"is_causal kv_num_heads left_window_size q_num_heads qk_matmul_output_mode right_window_size scale softcap softmax_precision"},
	"AveragePool": {1, 1, 1,
		"auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides"},
	"BatchNormalization": {1, 5, 5, "epsilon is_test momentum spatial training_mode"},
	"BitwiseAnd":         {18, 2, 1, ""},
	"BitwiseNot":         {18, 1, 1, ""},
	"BitwiseOr":          {18, 2, 1, ""},
	"BitwiseXor":         {18, 2, 1, ""},
	"BlackmanWindow":     {17, 1, 1, "output_datatype periodic"},
	"Cast":               {6, 1, 1, "round_mode saturate to"},
	"CastLike":           {15, 2, 1, "round_mode saturate"},
	"Ceil":               {1, 1, 1, ""},
	"Celu":               {12, 1, 1, "alpha"},
	"Clip":               {1, 3, 1, "max min"},
	"Col2Im":             {18, 3, 1, "dilations pads strides"},
	"Concat":             {4, -1, 1, "axis"},
	"Constant":           {1, 0, 1, "sparse_value value value_float value_floats value_int value_ints"},
	"ConstantOfShape":    {9, 1, 1, "value"},
	"Conv":               {1, 3, 1, "auto_pad dilations group kernel_shape pads strides"},
	"ConvTranspose": {1, 3, 1,
		"auto_pad dilations group kernel_shape output_padding output_shape pads strides"},
	"Cos":                {7, 1, 1, ""},
	"Cosh":               {9, 1, 1, ""},
	"CumSum":             {11, 2, 1, "exclusive reverse"},
	"DepthToSpace":       {1, 1, 1, "blocksize mode"},
	"DequantizeLinear":   {10, 3, 1, "axis block_size output_dtype"},
	"DFT":                {17, 3, 1, "axis inverse onesided"},
	"Div":                {1, 2, 1, "axis broadcast"},
	"Dropout":            {1, 3, 2, "is_test ratio seed"},
	"Einsum":             {12, -1, 1, "equation"},
	"Elu":                {1, 1, 1, "alpha"},
	"Equal":              {1, 2, 1, "axis broadcast"},
	"Erf":                {9, 1, 1, ""},
	"Exp":                {1, 1, 1, ""},
	"EyeLike":            {9, 1, 1, "dtype k"},
	"Expand":             {8, 2, 1, ""},
	"Flatten":            {1, 1, 1, "axis"},
	"Floor":              {1, 1, 1, ""},
	"Gather":             {1, 2, 1, "axis"},
	"GatherElements":     {11, 2, 1, "axis"},
	"GatherND":           {11, 2, 1, "batch_dims"},
	"Gelu":               {20, 1, 1, "approximate"},
	"Gemm":               {1, 3, 1, "alpha beta broadcast transA transB"},
	"GlobalAveragePool":  {1, 1, 1, ""},
	"GlobalLpPool":       {1, 1, 1, "p"},
	"GlobalMaxPool":      {1, 1, 1, ""},
	"Greater":            {1, 2, 1, "axis broadcast"},
	"GreaterOrEqual":     {12, 2, 1, ""},
	"GridSample":         {16, 2, 1, "align_corners mode padding_mode"},
	"GroupNormalization": {18, 3, 1, "epsilon num_groups stash_type"},
	"GRU": {1, 6, 2,
		"activation_alpha activation_beta activations clip direction hidden_size layout linear_before_reset output_sequence"},
	"HammingWindow":         {17, 1, 1, "output_datatype periodic"},
	"HannWindow":            {17, 1, 1, "output_datatype periodic"},
	"Hardmax":               {1, 1, 1, "axis"},
	"HardSigmoid":           {1, 1, 1, "alpha beta"},
	"HardSwish":             {14, 1, 1, ""},
	"Identity":              {1, 1, 1, ""},
	"If":                    {1, 1, -1, "else_branch then_branch"},
	"InstanceNormalization": {1, 3, 1, "epsilon"},
	"IsInf":                 {10, 1, 1, "detect_negative detect_positive"},
	"IsNaN":                 {9, 1, 1, ""},
	"LayerNormalization":    {17, 3, 3, "axis epsilon stash_type"},
	"LeakyRelu":             {1, 1, 1, "alpha"},
	"Less":                  {1, 2, 1, "axis broadcast"},
	"LessOrEqual":           {12, 2, 1, ""},
	"Log":                   {1, 1, 1, ""},
	"LogSoftmax":            {1, 1, 1, "axis"},
	"Loop":                  {1, -1, -1, "body"},
	"LpNormalization":       {1, 1, 1, "axis p"},
	"LpPool":                {1, 1, 1, "auto_pad ceil_mode dilations kernel_shape p pads strides"},
	"LRN":                   {1, 1, 1, "alpha beta bias size"},
	"LSTM": {1, 8, 3,
		"activation_alpha activation_beta activations clip direction hidden_size input_forget layout output_sequence"},
	"MatMul": {1, 2, 1, ""},
	"Max":    {1, -1, 1, ""},
	"MaxPool": {1, 1, 2,
		"auto_pad ceil_mode dilations kernel_shape pads storage_order strides"},
	"Mean":                      {1, -1, 1, ""},
	"MeanVarianceNormalization": {9, 1, 1, "axes"},
	"MelWeightMatrix":           {17, 5, 1, "output_datatype"},
	"Min":                       {1, -1, 1, ""},
	"Mish":                      {18, 1, 1, ""},
	"Mod":                       {10, 2, 1, "fmod"},
	"Mul":                       {1, 2, 1, "axis broadcast"},
	"Neg":                       {1, 1, 1, ""},
	"NonZero":                   {9, 1, 1, ""},
	"Not":                       {1, 1, 1, ""},
	"OneHot":                    {9, 3, 1, "axis"},
	"Or":                        {1, 2, 1, "axis broadcast"},
	"Pad":                       {1, 4, 1, "mode pads value"},
	"Pow":                       {1, 2, 1, "axis broadcast"},
	"PRelu":                     {1, 2, 1, ""},
	"Range":                     {11, 3, 1, "stash_type"},
	"Reciprocal":                {1, 1, 1, ""},
	"ReduceL1":                  {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceL2":                  {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceLogSum":              {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceLogSumExp":           {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceMax":                 {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceMean":                {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceMin":                 {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceProd":                {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceSum":                 {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"ReduceSumSquare":           {1, 2, 1, "axes keepdims noop_with_empty_axes"},
	"Relu":                      {1, 1, 1, ""},
	"Reshape":                   {1, 2, 1, "allowzero shape"},
	"Resize": {10, 4, 1,
		"antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode"},
	"ReverseSequence":  {10, 2, 1, "batch_axis time_axis"},
	"RMSNormalization": {23, 2, 1, "axis epsilon stash_type"},
	"RNN": {1, 6, 2,
		"activation_alpha activation_beta activations clip direction hidden_size layout output_sequence"},
	"RotaryEmbedding": {23, 4, 1, "interleaved num_heads rotary_embedding_dim"},
	"Round":           {11, 1, 1, ""},
	"Scan": {9, -1, -1,
		"body num_scan_inputs scan_input_axes scan_input_directions scan_output_axes scan_output_directions"},
	"Scatter":         {9, 3, 1, "axis"},
	"ScatterElements": {11, 3, 1, "axis reduction"},
	"ScatterND":       {11, 3, 1, "reduction"},
	"Selu":            {1, 1, 1, "alpha gamma"},
	"Shape":           {1, 1, 1, "end start"},
	"Shrink":          {9, 1, 1, "bias lambd"},
	"Sigmoid":         {1, 1, 1, ""},
	"Sign":            {9, 1, 1, ""},
	"Sin":             {7, 1, 1, ""},
	"Sinh":            {9, 1, 1, ""},
	"Size":            {1, 1, 1, ""},
	"Slice":           {1, 5, 1, "axes ends starts"},
	"Softmax":         {1, 1, 1, "axis"},
	"Softplus":        {1, 1, 1, ""},
	"Softsign":        {1, 1, 1, ""},
	"SpaceToDepth":    {1, 1, 1, "blocksize mode"},
	"Split":           {1, 2, -1, "axis num_outputs split"},
	"Sqrt":            {1, 1, 1, ""},
	"Squeeze":         {1, 2, 1, "axes"},
	"STFT":            {17, 4, 1, "onesided"},
	"Sub":             {1, 2, 1, "axis broadcast"},
	"Sum":             {1, -1, 1, ""},
	"SwiGLU":          {28, 2, 1, "alpha"},
	"Swish":           {24, 1, 1, "alpha"},
	"Tan":             {7, 1, 1, ""},
	"Tanh":            {1, 1, 1, ""},
	"ThresholdedRelu": {10, 1, 1, "alpha"},
	"Tile":            {6, 2, 1, ""},
	"TopK":            {1, 2, 2, "axis k largest sorted"},
	"Transpose":       {1, 1, 1, "perm"},
	"Trilu":           {14, 2, 1, "upper"},
	"Unsqueeze":       {1, 2, 1, "axes"},
	"Upsample":        {7, 2, 1, "mode scales"},
	"Where":           {9, 3, 1, ""},
	"Xor":             {1, 2, 1, "axis broadcast"},
	"ai.onnx.ml.LinearClassifier": {1, 1, 2,
		"classlabels_ints classlabels_strings coefficients intercepts multi_class post_transform"},
	"ai.onnx.ml.LinearRegressor":            {1, 1, 1, "coefficients intercepts post_transform targets"},
	"ai.onnx.ml.Normalizer":                 {1, 1, 1, "norm"},
	"ai.onnx.ml.Scaler":                     {1, 1, 1, "offset scale"},
	"com.microsoft.Attention":               {1, 6, 1, "mask_filter_value num_heads qkv_hidden_sizes scale unidirectional"},
	"com.microsoft.BiasGelu":                {1, 2, 1, ""},
	"com.microsoft.EmbedLayerNormalization": {1, 9, 3, "epsilon mask_index_type"},
	"com.microsoft.FastGelu":                {1, 2, 1, ""},
	"com.microsoft.FusedConv": {1, 4, 1,
		"activation activation_params auto_pad dilations group kernel_shape pads strides"},
	"com.microsoft.FusedGemm": {1, 3, 1,
		"activation activation_alpha activation_beta activation_gamma alpha beta transA transB"},
	"com.microsoft.FusedMatMul":                      {1, 2, 1, "alpha transA transB transBatchA transBatchB"},
	"com.microsoft.Gelu":                             {1, 1, 1, ""},
	"com.microsoft.MultiHeadAttention":               {1, 6, 1, "mask_filter_value num_heads scale unidirectional"},
	"com.microsoft.QuickGelu":                        {1, 1, 1, "alpha"},
	"com.microsoft.SkipLayerNormalization":           {1, 5, 4, "epsilon"},
	"com.microsoft.SkipSimplifiedLayerNormalization": {1, 4, 4, "epsilon"},
	"SimplifiedLayerNormalization":                   {1, 2, 1, "axis epsilon stash_type"},
}

// attributeTypes is the type of an attribute by its name. Old files leave it out.
var attributeTypes = attributeTypesByName(map[protos.AttributeProto_AttributeType]string{
	protos.AttributeProto_INT: "axis keepdims select_last_index ceil_mode count_include_pad is_test spatial training_mode " +
		"round_mode saturate to group exclusive reverse block_size output_dtype seed batch_dims transA transB num_groups stash_type " +
		"hidden_size input_forget layout output_sequence storage_order fmod noop_with_empty_axes allowzero antialias exclude_outside end start " +
		"num_outputs largest sorted upper value_int is_causal kv_num_heads left_window_size q_num_heads qk_matmul_output_mode " +
		"right_window_size softmax_precision blocksize dtype linear_before_reset detect_negative detect_positive size " +
		"broadcast batch_axis time_axis num_scan_inputs interleaved num_heads rotary_embedding_dim k multi_class targets transBatchA transBatchB " +
		"inverse onesided output_datatype periodic align_corners unidirectional mask_index_type",
	protos.AttributeProto_INTS: "dilations kernel_shape pads strides axes ends starts split perm value_ints output_padding output_shape shape classlabels_ints " +
		"scan_input_axes scan_input_directions scan_output_axes scan_output_directions qkv_hidden_sizes",
	protos.AttributeProto_FLOAT:   "epsilon momentum alpha max min ratio beta clip gamma bias lambd cubic_coeff_a extrapolation_value value_float softcap mask_filter_value",
	protos.AttributeProto_FLOATS:  "activation_alpha activation_beta activation_params scales value_floats coefficients intercepts offset",
	protos.AttributeProto_STRING:  "activation auto_pad approximate direction mode padding_mode reduction coordinate_transformation_mode nearest_mode keep_aspect_ratio_policy equation norm post_transform",
	protos.AttributeProto_STRINGS: "activations classlabels_strings",
	protos.AttributeProto_GRAPH:   "else_branch then_branch body",
})

func attributeTypesByName(
	names map[protos.AttributeProto_AttributeType]string) map[string]protos.AttributeProto_AttributeType {
	types := make(map[string]protos.AttributeProto_AttributeType)
	for t, list := range names {
		for _, name := range strings.Fields(list) {
			types[name] = t
		}
	}
	return types
}

// operatorKey is the key of an operator in allowed and rewrites.
func operatorKey(n *protos.NodeProto) string {
	if n.Domain == "" || n.Domain == "ai.onnx" {
		return n.OpType
	}
	return n.Domain + "." + n.OpType
}

// isOwn reports whether a node is of ONNX's own domain. The opset is the version of that domain.
func isOwn(n *protos.NodeProto) bool { return n.Domain == "" || n.Domain == "ai.onnx" }

// checkForm returns an error that names the operator and the node if its form is not in the list.
func checkForm(n *protos.NodeProto, opset int64) error {
	if err := checkQuantized(n); err != nil {
		return err
	}
	known, ok := allowed[operatorKey(n)]
	if !ok {
		if isOwn(n) || slices.Contains(knownDomains, n.Domain) {
			return fmt.Errorf("operator %s is not supported", nodeName(n))
		}
		return fmt.Errorf("operator %s: it is of the domain %q, whose operators are not supported", nodeName(n), n.Domain)
	}
	if err := checkInputs(n); err != nil {
		return err
	}
	_, err := func() (bool, error) {
		switch {
		case isOwn(n) && opset > newestOpset:
			return refused(n, "the file is of opset %d, newer than the newest known, %d", opset, newestOpset)
		case isOwn(n) && opset < known.since:
			return refused(n, "it has the form of opset %d, before %d", opset, known.since)
		case known.inputs >= 0 && len(n.Input) > known.inputs:
			return refused(n, "it has the input number %d", len(n.Input))
		case known.outputs >= 0 && len(n.Output) > known.outputs:
			return refused(n, "it has the output number %d", len(n.Output))
		}
		names := strings.Fields(known.attributes)
		for _, a := range n.Attribute {
			want := attributeTypes[a.Name]
			if n.OpType == "FusedGemm" && strings.HasPrefix(a.Name, "activation_") { // Lists in recurrent layers.
				want = protos.AttributeProto_FLOAT
			}
			switch {
			case !slices.Contains(names, a.Name):
				return refused(n, "it has the attribute %s", a.Name)
			case a.RefAttrName != "":
				return refused(n, "the attribute %s is that of a function", a.Name)
			case a.Type != protos.AttributeProto_UNDEFINED && want != protos.AttributeProto_UNDEFINED && a.Type != want:
				return refused(n, "the attribute %s is of type %s, not %s", a.Name, a.Type, want)
			}
		}
		return false, nil
	}()
	return err
}

// knownDomains have operators in allowed.
var knownDomains = []string{"ai.onnx.ml", "com.microsoft"}
