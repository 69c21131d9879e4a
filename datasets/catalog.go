package datasets

// dataSet describes a data set of the catalog.
type dataSet struct {
	name, title string
	embedded    bool
	// side is the height and the width of the images.
	side    int
	classes []string
	// locations are the paths to search for the set: absolute, or relative to the data folder.
	locations []string
	// debianPackage is the Debian package that contains the set, if any.
	debianPackage string
	// contents maps each file, without .gz, to the SHA-256 of its uncompressed content.
	contents map[string]string
	// copies are known sets of files with the same images in other bytes.
	copies []knownCopy
	// downloads are the published files.
	downloads []download
}

// knownCopy is a known set of files that differs from the published one.
type knownCopy struct {
	title    string
	contents map[string]string
}

// download is one published file.
type download struct {
	file   string
	size   int64
	sha256 string
	// urls are the addresses at the publisher and its mirrors, in the order in which to try them.
	// Plain http is acceptable because the content is checked by its SHA-256.
	urls []string
}

// Where the checksums come from.
//
//   - Fashion-MNIST, contents: computed from the files of Debian's package dataset-fashion-mnist
//     0.0~git20200523.55506a9-1. Downloads: the published .gz files differ from Debian's only in
//     the gzip header (file name and time). With that header, Debian's files have exactly the sizes
//     and SHA-256 sums below (a test checks this where the package is installed), and the MD5 sum
//     that Zalando's README lists for the test labels.
//   - MNIST, contents and downloads; CIFAR-10, contents and download: published by several
//     independent projects (the MNIST sums by TensorFlow's data set code among others, the CIFAR-10
//     sum by GoMLX and torchvision's Ruby port). Nobody has compared them with the files themselves
//     for this catalog.
//   - The JPEG copy of CIFAR-10: computed from its files as decoded by Pillow 13.0.0. For 1,000 of
//     its test images, every label agrees with a lossless copy, and the pixels differ by a root
//     mean square of 7.6 of 255.
//   - The subset: computed when it was drawn, see fashion_mnist_subset/README.md.
var catalog = []*dataSet{
	{
		name: NameFashionMNISTSubset, title: "Fashion-MNIST, 5,000 + 1,000 images", embedded: true,
		side: 28, classes: fashionClasses,
		contents: map[string]string{
			"train-images-idx3-ubyte": "2df2c9cecd01d6a7efa434e6bde37b1012dfa63421614a49fbc30f226d8cb7d4",
			"train-labels-idx1-ubyte": "146a1077af5512e798678cfb0664e45e5d204b75d2c1ff4e5e167717b15666c5",
			"t10k-images-idx3-ubyte":  "4c5d070270ffab9a15d5a797b0d139327bed76e183ba3a54ffa125d1d38dd86d",
			"t10k-labels-idx1-ubyte":  "9c530b08d046eb181b525d395479cc474fc6620fe6dc402234cebc628da6dad6",
		},
	},
	{
		name: NameFashionMNIST, title: "Fashion-MNIST, 60,000 + 10,000 images",
		side: 28, classes: fashionClasses,
		locations:     []string{"fashion-mnist", "FashionMNIST/raw", debianFashionMNIST},
		debianPackage: "dataset-fashion-mnist",
		contents: map[string]string{
			"train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
			"train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
			"t10k-images-idx3-ubyte":  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
			"t10k-labels-idx1-ubyte":  "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
		},
		downloads: withURLs([]string{
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
			"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
		}, []download{
			{file: "train-images-idx3-ubyte.gz", size: 26421880,
				sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
			{file: "train-labels-idx1-ubyte.gz", size: 29515,
				sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
			{file: "t10k-images-idx3-ubyte.gz", size: 4422102,
				sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
			{file: "t10k-labels-idx1-ubyte.gz", size: 5148,
				sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
		}),
	},
	{
		name: NameMNIST, title: "MNIST, 60,000 + 10,000 images",
		side: 28, classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		locations: []string{"mnist", "MNIST/raw"},
		contents: map[string]string{
			"train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
			"train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
			"t10k-images-idx3-ubyte":  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
			"t10k-labels-idx1-ubyte":  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
		},
		downloads: withURLs([]string{
			"https://ossci-datasets.s3.amazonaws.com/mnist/",
			"https://storage.googleapis.com/cvdf-datasets/mnist/",
		}, []download{
			{file: "train-images-idx3-ubyte.gz", size: 9912422,
				sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
			{file: "train-labels-idx1-ubyte.gz", size: 28881,
				sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
			{file: "t10k-images-idx3-ubyte.gz", size: 1648877,
				sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
			{file: "t10k-labels-idx1-ubyte.gz", size: 4542,
				sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
		}),
	},
	{
		name: NameCIFAR10, title: "CIFAR-10, 50,000 + 10,000 images",
		side: cifarSide, classes: cifar10Classes,
		locations: []string{
			"cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin",
			"cifar10/cifar-10-binary.tar.gz", "cifar-10-binary.tar.gz",
		},
		contents: map[string]string{
			"data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
			"data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
			"data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
			"data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
			"data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
			"test_batch.bin":   "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
		},
		copies: []knownCopy{{"a JPEG copy of CIFAR-10, in another order, decoded by Pillow 13.0.0", map[string]string{
			"data_batch_1.bin": "15b03b8a8bbf00b0e965e208257d97ecb6f79d12a89c58caafda7bcf68fa07f7",
			"data_batch_2.bin": "4df28c84529bd14c282400df3deaa4b1ea6396c3e20b9e2afe519bd629588418",
			"data_batch_3.bin": "c29f6ba57d34c0b76a72d97e9f56bdb2d32658c8520839bb67a9395a07ddc5d2",
			"data_batch_4.bin": "a6e5f80e8753ee5fe91f52f1b72917aebcb74b3fc34642a6c4cc800c6f0f0a4d",
			"data_batch_5.bin": "529a8ade44656f3582069a2b45694b7a4964a0dfc555904bacc92a6dad618777",
			"test_batch.bin":   "21ff644a0745dff07cf018a4314ad5dbc8b65bf1bb9f9c184f68eaf61bb554dd",
		}}},
		downloads: withURLs([]string{"https://www.cs.toronto.edu/~kriz/"}, []download{
			{file: "cifar-10-binary.tar.gz", size: 170052171,
				sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
		}),
	},
}

var fashionClasses = []string{
	"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
}

// withURLs completes the downloads with their addresses: each base followed by the file's name.
func withURLs(bases []string, files []download) []download {
	for i := range files {
		for _, base := range bases {
			files[i].urls = append(files[i].urls, base+files[i].file)
		}
	}
	return files
}
