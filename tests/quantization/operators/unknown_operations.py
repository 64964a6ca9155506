"""Classes of Keras that the registry of operators leaves out on purpose, each with the reason."""

BASE = "a base class, of which a model has no call"
MODEL = "a model, whose operations are read one by one"
CELL = "a cell, which is decomposed with its recurrent layer"
FUNCTIONS = "takes functions, which the graph of a model does not show"
FOREIGN = "runs the code of another framework"
DATA = "prepares or augments data, or is in models that train only"
LOSS = "is a loss, a metric or a decoder"
INTEGERS = "is of integers, which a file computes as they are, or of bits"
CREATES = "creates values of no input, which tracing turns into constants"
ALIAS = "is another name: calls are of the class that it stands for"
RARE = "is rare in models: the error says how to leave it in float"

_ROWS = (
    (BASE, "Operation Layer Wrapper Merge ConvLSTM SegmentReduction DataLayer IndexLookup"),
    (BASE, "BaseConv BaseConvTranspose BaseDepthwiseConv BaseSeparableConv BaseSpatialDropout"),
    (BASE, "BasePooling BaseGlobalPooling BaseAdaptivePooling BaseAdaptiveAveragePooling"),
    (BASE, "BaseAdaptiveMaxPooling BaseImagePreprocessingLayer"),
    (MODEL, "Functional Model Sequential Function InputLayer Distiller"),
    (CELL, "ConvLSTMCell StackedRNNCells"),
    (FUNCTIONS, "AssociativeScan Cond ForiLoop Map Scan Switch VectorizedMap WhileLoop JVP"),
    (FOREIGN, "TFSMLayer FlaxLayer JaxLayer TorchModuleWrapper"),
    (DATA, "AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MixUp"),
    (DATA, "RandAugment RandomColorDegeneration Solarization MaxNumBoundingBoxes Pipeline FeatureSpace"),
    (DATA, "TFDConcat TFDIdentity RandomHeight RandomWidth StochasticDepth FakeQuantWithMinMaxVars"),
    (LOSS, "BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy CTCLoss CTCDecode"),
    (LOSS, "PSNR SSIM InTopK"),
    (INTEGERS, "BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor"),
    (INTEGERS, "LeftShift RightShift Gcd Lcm View Ldexp"),
    (CREATES, "Arange Array Full FullLike EmptyLike Linspace Logspace Geomspace Meshgrid Ndim Size"),
    (ALIAS, "Abs Conj"),
    (RARE, "Mish ThresholdedReLU Fabs Erfc Heaviside Deg2rad Rad2deg Logaddexp2 DivideNoNan Fmod Polar"),
    (RARE, "Prod Ptp Median Percentile Quantile Trapezoid Corrcoef Correlate Histogram Unique Nonzero"),
    (RARE, "Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile"),
    (RARE, "Nanprod Nanquantile Nanstd Nansum Nanvar AllClose Isclose IsIn Isreal Imag Angle"),
    (RARE, "Inner Outer Vdot Kron Vander CDist CholeskyInverse Lstsq LuFactor MatrixRank SolveTriangular"),
    (RARE, "Append Argpartition Diag Diagflat Dsplit Hsplit Vsplit Fliplr Flipud UnravelIndex Rearrange"),
    (RARE, "Fold Unfold AdaptiveAveragePool AdaptiveMaxPool AdaptiveAveragePooling3D AdaptiveMaxPooling3D"),
    (RARE, "SaturateCast Scatter ScatterUpdate SliceUpdate ViewAsComplex ViewAsReal"),
    (RARE, "AffineTransform ElasticTransform GaussianBlur HSVToRGB RGBToHSV MapCoordinates"),
    (RARE, "PerspectiveTransform ScaleAndTranslate SobelEdges"),
)

UNKNOWN = {name: reason for reason, names in _ROWS for name in names.split()}
"""The name of a class -> why the registry leaves it out."""
