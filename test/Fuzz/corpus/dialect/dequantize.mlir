func.func @dequantize(%data: tensor<?xi8>, %scales: tensor<?xf32>) {
  %values = moe.dequantize %data, %scales <kind = int8, block = 64>
      : (tensor<?xi8>, tensor<?xf32>) -> tensor<?xf32>
  return
}
