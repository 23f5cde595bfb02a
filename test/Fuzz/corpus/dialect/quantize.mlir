func.func @quantize(%values: tensor<65xf32>) {
  %data, %scales, %status = moe.quantize %values <kind = mxfp4, block = 32>
      : (tensor<65xf32>) -> (tensor<33xi8>, tensor<3xi8>, tensor<i32>)
  %0:3 = moe.quantize %values <kind = fp8_e4m3, block = 64>
      : (tensor<65xf32>) -> (tensor<65xi8>, tensor<2xf32>, tensor<i32>)
  %odd = moe.dequantize %data, %scales <kind = mxfp4, block = 32>
      : (tensor<33xi8>, tensor<3xi8>) -> tensor<65xf32>
  %even = moe.dequantize %data, %scales <kind = mxfp4, block = 32>
      : (tensor<33xi8>, tensor<3xi8>) -> tensor<66xf32>
  return
}
